"""Channels: ways in which an alert reaches people and programs."""
