"""The papers' comparisons of schedules, in small."""
