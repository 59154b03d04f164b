"""What an installation learns from its own traffic: other prices, other choices, and how sure one may be. Pure."""
