"""The contenders, one a file; each is also the module that its process runs."""
