"""Schedules and trials inside other libraries' trainers: ``transformers`` and ``lightning``, a module for each."""
