"""The loop-back measurement: the SLM flashes a known pattern, and the flash is looked for in what comes back."""
