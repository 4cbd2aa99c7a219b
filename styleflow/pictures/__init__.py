"""Decoded pictures as they are meant to be seen: in RGB, of BT.709, square and upright."""
