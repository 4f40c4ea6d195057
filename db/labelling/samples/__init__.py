"""Samples: putting labels on them and taking them off, marking and deleting them; by ids or by filter, set-based."""
