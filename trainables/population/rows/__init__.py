"""Many models of one architecture as rows of matrices: layout, optimizer states, steps and evaluations."""
