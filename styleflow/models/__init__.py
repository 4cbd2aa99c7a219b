"""Face-analysis networks and deepfake detectors, each readable from top to bottom."""
