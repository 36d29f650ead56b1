"""The second port, for browsers and plain HTTP: Connect, gRPC-Web and the page.

It needs the extra `web`, so nothing outside this folder imports it without asking first.
"""
