"""Batching rules of `torch.func.vmap` for layers of which every row has its own weights."""
