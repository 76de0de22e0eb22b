"""Measurements of pictures without Qt: view filters, regions, profiles, alignment numbers, time series and their CSV text."""
