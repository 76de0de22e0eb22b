"""The measurements of ``specklescope bench``."""
