"""What the cells say, one by one and together."""
