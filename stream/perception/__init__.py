"""Perception: from a sampled frame to tracked, aligned faces."""
