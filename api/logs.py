"""Logs: one JSON object a line, so that nothing a client sends can forge a line or an escape sequence.

Never logged: variables, documents, tokens, query strings (they carry signatures). `serve` therefore turns uvicorn's
access log off; a log of requests belongs to the proxy in front.
"""

import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import Any

import orjson

from db.errors import REQUEST_ID

CHATTY = ("aioboto3", "aiobotocore", "alembic", "boto3", "botocore", "PIL", "uvicorn")  # those of S3 log keys
KNOWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message"}


class JsonLines(logging.Formatter):
    """`time`, `level`, `logger`, `message`, `requestId` of a request, the fields of `extra`; class and frames of an
    exception."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if request_id := REQUEST_ID.get():
            line["requestId"] = request_id
        line |= {name: value for name, value in vars(record).items() if name not in KNOWN}
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]  # its message may contain a client's values
            frames = traceback.extract_tb(error.__traceback__)[-20:]
            line["kind"] = type(error).__qualname__
            line["frames"] = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
        return orjson.dumps(line, default=repr).decode()


def configure(level: str) -> None:
    """Sends every logger's lines to stderr in this form; uvicorn's too, when it is run with `log_config=None`."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for chatty in CHATTY:
        logging.getLogger(chatty).setLevel(max(logging.WARNING, logging.getLogger().level))
