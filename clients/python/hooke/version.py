"""The version of this distribution: the client and the server together."""

__version__ = "0.1.0"
