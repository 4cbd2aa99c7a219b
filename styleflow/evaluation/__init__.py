"""Evaluation: scores of clips, the figures of all, and their report."""
