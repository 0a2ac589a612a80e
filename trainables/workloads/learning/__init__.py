"""What workloads around a torch model share: the learner, the recipe, seeds, data on a device."""
