"""Access tokens and signed URLs."""
