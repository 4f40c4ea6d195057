"""Undoing one change: its rows are inverted, as a change of its own. What others did stays, or prevents the undo."""

from db.history.undo.undo import Undone, undo

__all__ = ["Undone", "undo"]
