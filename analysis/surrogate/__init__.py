"""Model of quality over schedules: a Gaussian process, its hyperparameters and draws. NumPy and SciPy only."""
