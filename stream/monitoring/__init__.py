"""Monitoring: every Prometheus metric and what feeds it."""
