"""What vmap makes of layers where every row has weights of its own."""
