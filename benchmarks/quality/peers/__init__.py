"""The searches that phitune is compared with."""
