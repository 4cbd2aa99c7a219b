"""Degradations: what cameras and codecs do to pictures, drawn alike for both of a pair."""
