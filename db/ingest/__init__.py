"""The way in: samples from a directory (sync), a manifest (imports) or a client (uploads)."""
