"""What the arrays of other programs mean: the unit of a phase, the bits of a speckle, the facts of each pair."""
