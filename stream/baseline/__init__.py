"""Baselines: statistics of a stream's own known-real video, and what becomes relative to them."""
