"""Trials from MLflow: through its client, or as SQL from its embedded database."""
