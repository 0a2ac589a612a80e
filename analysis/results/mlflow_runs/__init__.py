"""Trials as MLflow's runs: through its client, or as SQL from its embedded database."""
