"""Training of torch models: problem, recipe, optimizers, learner, measurements; base classes of workloads around it."""
