"""GenD (WACV 2026), as published."""
