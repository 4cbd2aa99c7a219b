"""Store: what the analyzer remembers beyond a restart, in SQLite or PostgreSQL."""
