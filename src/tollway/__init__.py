"""Run your own LLM router, with the meter and the till built in."""

__version__ = "0.1.0"
