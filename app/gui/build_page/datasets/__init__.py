"""The sheet of the datasets that are there: they are resumed and verified."""
