"""From a speckle frame to phase, labels and confidence: networks, training, metrics, engines, the live stage."""
