"""HTTP: the hot endpoints as plain ASGI callables, everything else as an ordinary FastAPI application."""
