"""Ray as a study needs it: joined, its nodes and their slots, its storage, its end."""
