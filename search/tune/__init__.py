"""phitune behind Tune's interfaces: searcher and scheduler."""
