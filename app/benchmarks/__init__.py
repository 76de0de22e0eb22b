"""Benchmarks of the product: what ``specklescope bench`` measures."""
