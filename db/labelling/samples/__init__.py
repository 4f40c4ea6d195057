"""Samples: putting labels on them and taking them off, and deleting them; by ids or by filter, all set-based."""
