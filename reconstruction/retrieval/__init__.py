"""Phase retrieval by gradient descent through the fibre's response."""
