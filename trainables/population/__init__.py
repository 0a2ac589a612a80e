"""Many trials of one workload trained together on one device.

Their weights are the rows of one matrix; a step is one forward and backward pass over all of them
(`torch.func.vmap`), each row with its own batch, LR and step counter.
"""
