"""What runs and views look like in MLflow; nothing here talks to it."""
