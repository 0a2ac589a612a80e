"""The belief about quality over schedules: a Gaussian process, its hyperparameters, draws. NumPy and SciPy only."""
