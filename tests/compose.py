"""docker-compose.yml, Dockerfile and .dockerignore as Docker reads them."""

import fnmatch
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).parent.parent
NAME = re.compile(r"\$(?:\$|\{(\w+)(?:(:-|:\?)((?:[^${}]|\$\{[^{}]*\})*))?\})")


class Missing(Exception):
    """A required variable is not set; the message is that of the file."""


def interpolated(text: str, given: Mapping[str, str]) -> str:
    """`${NAME}`, `${NAME:-default}`, `${NAME:?message}` and `$$`; an empty variable counts as none."""

    def value(match: re.Match[str]) -> str:
        name, operator, rest = match.groups()
        if name is None:
            return "$"
        if operator == ":?" and not given.get(name):
            raise Missing(f"{name}: {rest}")
        return given.get(name) or interpolated(rest or "", given)

    return NAME.sub(value, text)


def services(given: Mapping[str, str]) -> dict[str, Any]:
    """The services of docker-compose.yml, for an .env with these values."""
    raw = YAML(typ="safe").load((ROOT / "docker-compose.yml").read_text())
    return dict(_walked(raw["services"], given))


def _walked(node: Any, given: Mapping[str, str]) -> Any:
    match node:
        case dict():
            return {key: _walked(value, given) for key, value in node.items()}
        case list():
            return [_walked(value, given) for value in node]
        case str():
            return interpolated(node, given)
        case _:
            return node


@dataclass(frozen=True, slots=True)
class Step:
    """One instruction of the Dockerfile; `stage` counts from 0."""

    stage: int
    word: str
    rest: str


def dockerfile() -> Iterator[Step]:
    text = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text())
    stage = -1
    for line in text.splitlines():
        if line and not line.startswith("#"):
            word, rest = line.split(maxsplit=1)
            stage += word == "FROM"
            yield Step(stage, word, rest)


def is_in_build_context(path: str) -> bool:
    """Whether .dockerignore lets a file into the build: the last line about it, or a folder above it, decides."""
    allowed = True
    parts = path.split("/")
    above = ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]
    for line in (ROOT / ".dockerignore").read_text().split():
        pattern = line.removeprefix("!")
        patterns = [pattern, pattern.removeprefix("**/")]
        if any(fnmatch.fnmatchcase(part, each) for part in above for each in patterns):
            allowed = line.startswith("!")
    return allowed
