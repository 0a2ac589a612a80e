"""Small architectures, one a file."""
