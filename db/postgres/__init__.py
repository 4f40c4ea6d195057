"""Postgres: connections and their settings, transactions, statements, models and migrations, backups."""
