"""The Data page: recordings, datasets and snapshots of several archives, found, looked at, and put in order."""
