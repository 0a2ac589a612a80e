"""Models of one kind as rows of matrices: their layout, steps and optimizer states."""
