"""Addresses of MLflow's pages."""

# Names the view of the runs table in the tag that holds it and in the addresses that open it.
VIEW_KEY = "phitune"


def runs_page(experiment_id: str, server: str = "") -> str:
    """Address of an experiment's runs in MLflow, as model training with the columns that tell trials apart."""
    return f"{server}/#/experiments/{experiment_id}/runs?workflowType=machine_learning&viewStateShareKey={VIEW_KEY}"
