"""Training of CADDM: its pseudo-fakes, its loss and its loop."""
