"""Alerts: rules decide which incidents people are told of; channels tell them."""
