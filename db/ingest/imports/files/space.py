"""Temporary files take space, which may be all used up."""

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from db.errors import StorageError

NO_SPACE: Final = "The server has no space left for temporary files; the import needs about the size of its files."


def is_out_of_space(error: BaseException) -> bool:
    """Whether a temporary file, of ours or of SQLite, could not be written."""
    if isinstance(error, sqlite3.OperationalError):
        return True
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def temporary_space() -> Iterator[None]:
    """Raises StorageError where there is none."""
    try:
        yield
    except (sqlite3.OperationalError, OSError) as error:
        if is_out_of_space(error):
            raise StorageError(NO_SPACE) from error
        raise
