"""The study file: its keys, the cells it describes, the families it searches."""
