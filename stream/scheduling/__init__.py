"""Scheduling: batches over streams, bounded hand-overs, and degradation under overload."""
