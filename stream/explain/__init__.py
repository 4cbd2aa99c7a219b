"""Explanations for people: pictures of what was scored, and regions a detector points at."""
