"""The data: rows in Postgres, bytes in storage, and the rules that keep both consistent.

Resolvers (`schema`) and the worker (`api`) both call the plain functions of this layer, one module per noun; it knows
nothing of GraphQL or HTTP. Only `db/postgres/engine.py` opens and commits transactions.
"""
