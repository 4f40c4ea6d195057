"""Exports: a version written as files."""
