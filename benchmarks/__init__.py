"""Hooke beside its peers; see README.md."""
