"""The facts: rows in Postgres, bytes in storage, and the rules that keep both true.

Resolvers (`schema`) and the worker (`api`) both call the plain functions of this floor, one module per noun; it knows
nothing of GraphQL or HTTP. `engine` is the only place that opens transactions and commits them.
"""
