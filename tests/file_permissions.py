"""Running a block without the rights of root, so that file permissions apply in tests."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NOBODY = 65_534


@contextmanager
def without_root(folder: Path) -> Iterator[None]:
    """`folder` and its parents can be entered; other directories keep their modes."""
    if os.geteuid() != 0:
        yield
        return
    for directory in (folder, *folder.parents):
        directory.chmod(directory.stat().st_mode | 0o011)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
