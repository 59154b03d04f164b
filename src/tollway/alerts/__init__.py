"""Alerts and events: which thresholds were passed, what a webhook is told, how it is signed and when it is tried again."""
