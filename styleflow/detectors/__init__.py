"""Deepfake detectors, one package each, readable from top to bottom."""
