"""Diffusion: noise schedules, samplers and losses, apart from the networks they drive."""
