"""What a study has done, on disk as it happens."""
