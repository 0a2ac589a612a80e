"""How trials are chosen, placed, stopped and recorded."""
