"""Incidents: what suspect verdicts amount to, and what operators make of them."""
