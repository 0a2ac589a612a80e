"""Which configuration comes next in a cell: the space, the sampler, finalists, warm starts."""
