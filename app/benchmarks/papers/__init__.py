"""The experiment of the published methods on a small fibre: the same pairs and the same minutes for every model."""
