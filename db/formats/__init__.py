"""Formats: pure readers and writers of names, paths, shapes, images and label files. No database here."""
