"""What ``specklescope doctor`` examines on this computer."""
