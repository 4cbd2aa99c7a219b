"""Drift: whether a stream's picture is still what it was in the last seven days."""
