"""The sheet on which a new dataset is planned and started."""
