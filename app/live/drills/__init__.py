"""Drills: faults of the simulated instrument that an operator asks for, to see what the program says and what to do."""
