"""Diffusion models, their schedules and samplers, and the mean flow."""
