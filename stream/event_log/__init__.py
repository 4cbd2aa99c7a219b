"""Event log: every event gets its number once and is handed to every sink in the same order."""
