"""Canaries: known video that goes the whole path, so that a detector gone blind is noticed."""
