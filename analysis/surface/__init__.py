"""Quality over one shape parameter and LR in one cell: phi* with its interval, and whether phi matters."""
