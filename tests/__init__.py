"""Tests mirror the layers db, schema and api; most of them speak GraphQL to the schema, on real Postgres."""
