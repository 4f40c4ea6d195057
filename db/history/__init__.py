"""What a working set was and becomes: changes, versions, undo, and operations that take effect once."""
