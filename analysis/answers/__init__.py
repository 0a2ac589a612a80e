"""guidelines.json read and asked: `recommend`. Light: NumPy alone, no pandas, MLflow or SciPy."""
