"""Embeddings: vectors of models that stand for images, and their indexes. Reads are in `db/queries/nearest.py`."""
