"""Networks that learn sample by sample as data stream in."""
