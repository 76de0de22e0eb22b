"""The process whose window is the SLM: patterns, exact to the pixel, on a monitor."""
