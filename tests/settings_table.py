"""The settings as docs/settings.md lists them."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from api.settings import CHECKOUT, SECTIONS


class Description(NamedTuple):
    env: str
    default: str
    help: str


def describe() -> Iterator[Description]:
    """Every variable with its default as it would be written in the environment, in the order of docs/settings.md."""
    for section in SECTIONS:
        for field in section.model_fields.values():
            if field.description is not None:
                yield Description(str(field.validation_alias), _text(field.default), field.description)


def _text(default: object) -> str:
    match default:
        case None | ():
            return ""
        case bool():
            return str(default).lower()
        case float():
            return f"{default:g}"
        case Path():
            return str(default.relative_to(CHECKOUT))
        case _:
            return str(default)
