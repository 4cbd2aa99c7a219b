"""Evidence: the original packets of an incident, kept, exported, verified and scored again."""
