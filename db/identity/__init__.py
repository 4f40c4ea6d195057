"""Who sends a request: access tokens and signed URLs."""
