"""Indexes of the published data sets, one module per layout; `catalogue` names them all."""
