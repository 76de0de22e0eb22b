"""Phase from speckle: models, training, retrieval, segmentation, engines."""
