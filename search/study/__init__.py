"""The study file: what may stand in it, the cells it means, the families it searches."""
