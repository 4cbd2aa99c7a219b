"""Crops: how each detector wants a face cut out of a picture."""
