"""Registration: where the pixels of a pattern lie on the camera, and how far the speckle moves."""
