"""What can be bought, from whom, for how much, since when."""
