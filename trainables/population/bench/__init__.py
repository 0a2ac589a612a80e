"""How fast a population trains, against one trial alone."""
