"""Training of FakeSTormer: its pseudo-fakes, its targets, its losses and its loop."""
