"""Ingest: from a URL to sampled frames; sources, packets, decoding and media time."""
