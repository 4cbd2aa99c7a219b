"""Migrations: each revision of the tables as a module, `rev_NUMBER_WORDS.py`, run by Alembic."""
