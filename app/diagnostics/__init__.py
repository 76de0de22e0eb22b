"""Checks of this computer, for ``specklescope doctor``."""
