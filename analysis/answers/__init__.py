"""Recommendations from guidelines.json. Imports NumPy at most: no pandas, MLflow, SciPy or torch."""
