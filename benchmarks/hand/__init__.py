"""The same by hand: SQL for each answer and effect, on plain tables, behind a bare ASGI app. No GraphQL, no tokens."""

from typing import Final

from db.postgres import sql

SQL: Final = sql.load(__file__, "statements.sql")
TABLES: Final = sql.load(__file__, "tables.sql")
