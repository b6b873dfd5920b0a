"""Bytes in, bytes out: AWS's protocols, apart from any HTTP server (only server.py knows one)."""
