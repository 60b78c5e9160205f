"""What a user may ask for: update rules, learning rates, stopping conditions."""
