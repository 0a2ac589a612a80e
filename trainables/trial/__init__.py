"""A trial on Ray: the actor that trains it, or its relay to the population that does. Only this room knows Ray."""
