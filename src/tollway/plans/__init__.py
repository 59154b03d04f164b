"""What a plan grants: limits, features, models and margins, as data; the one entitlement check; what is over a limit."""
