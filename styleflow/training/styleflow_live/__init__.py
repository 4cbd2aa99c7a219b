"""Training of styleflow-live, the default."""
