"""The Build page: datasets are planned, acquired, imported, resumed and verified."""
