"""Training many networks at once, and searching with them."""
