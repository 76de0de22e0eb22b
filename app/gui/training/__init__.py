"""The training window: start, watch, stop and resume a training."""
