"""The history of a working set: changes, versions, undo, and idempotency keys."""
