"""Errors that end a command, each as one sentence for whoever ran it."""

import os

import asyncpg
from sqlalchemy.exc import DBAPIError

from db.errors import DomainError


class CommandError(RuntimeError):
    """A command cannot go on; the message is a sentence that says why, and what to do."""


def describe(error: Exception) -> str | None:
    """The sentence that a command ends with; None for an error that nobody expects: a defect of the program."""
    match error:
        case CommandError() | DomainError():
            return str(error)
        case DBAPIError(orig=BaseException() as cause):
            return f"Postgres could not do it: {reason(cause)}."
        case asyncpg.PostgresError() | asyncpg.InterfaceError():
            return f"Postgres could not do it: {reason(error)}."
        case OSError(filename=str() | bytes() as path):
            return f"{os.fsdecode(path)}: {reason(error)}."
        case OSError() | DBAPIError():
            return f"The system refuses it: {reason(error)}."
    return None


def reason(error: BaseException) -> str:
    """The error's own words on one line, without a full stop."""
    system = isinstance(error, OSError) and error.strerror
    if isinstance(error, OSError) and error.errno is not None and error.errno > 0:
        system = os.strerror(error.errno)  # asyncio writes addresses and lists of errors into `strerror`
    text = str(system or error) or type(error).__name__
    return " ".join(text.split()).rstrip(".")
