"""The sheet on which pairs of another program are imported."""
