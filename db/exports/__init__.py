"""The way out: a version written as files."""
