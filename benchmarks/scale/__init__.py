"""How far a study scales: over Ray nodes on this machine, and by simulation to a thousand slots."""
