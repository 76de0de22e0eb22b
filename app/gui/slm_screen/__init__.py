"""The process whose window is the SLM: it shows patterns pixel by pixel on a monitor."""
