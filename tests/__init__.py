"""Tests mirror the floors: db, schema, api; most of them speak GraphQL to the schema, on real Postgres."""
