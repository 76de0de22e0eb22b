"""Channels between threads with a stated overflow policy, stages, and prefetching."""
