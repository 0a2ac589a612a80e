"""All that touches Ray's private API, each touch with what is lost without it."""
