"""Other gateways to compare with: each is installed below bench/out on first use, started on loopback, and measured alike."""
