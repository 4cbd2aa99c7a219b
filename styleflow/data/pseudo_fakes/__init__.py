"""Pseudo-fakes: training examples made fake from real clips."""
