"""Test suites that a user's own classes can be held to."""
