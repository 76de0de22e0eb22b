"""Capturing verified speckle/phase pairs: the plan, one pair, the whole run, and its certificate."""
