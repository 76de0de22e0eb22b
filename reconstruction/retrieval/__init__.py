"""Phase retrieval through the calibrated response of the fibre, without a network."""
