"""Who asks: access tokens and signed URLs."""
