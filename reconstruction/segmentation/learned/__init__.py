"""A segmenter that was trained on reconstructions of synthetic cells."""
