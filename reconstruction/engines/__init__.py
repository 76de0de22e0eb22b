"""Engines that run a model: one runner a file, one contract, the fastest correct one chosen on the machine at hand."""
