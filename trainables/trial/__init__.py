"""A trial on Ray: the actor, the task it trains, its checkpoint, its relay to a population."""
