"""Upstream model APIs: dialects translate, `upstream.py` alone has a socket."""
