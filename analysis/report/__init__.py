"""The report: its run, pages, figures, templates and words."""
