"""Diffusion models with their noise schedules and samplers, and the mean flow."""
