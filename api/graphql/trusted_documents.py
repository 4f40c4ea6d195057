"""Trusted documents: those that the server's owner put into a folder, which clients name by an id."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import orjson

from api.command_errors import CommandError
from api.graphql.parameters import normalized_id

APOLLO: Final = "apollo-persisted-query-manifest"
MANIFESTS: Final = (
    '{"format": "apollo-persisted-query-manifest", "version": 1, "operations": [{"id": …, "body": …}]}, as Apollo\'s '
    "generate-persisted-query-manifest writes it, or {id: document}, as relay-compiler and graphql-codegen do"
)


@dataclass(frozen=True, slots=True)
class TrustedDocuments:
    """`only`: no other document is executed."""

    by_id: Mapping[str, str] = field(default_factory=dict)
    texts: frozenset[str] = frozenset()
    only: bool = False

    @classmethod
    def read(cls, folder: Path | None, *, only: bool) -> Self:
        """What is below the folder. A `.graphql` file is one document, whose id is its SHA-256, with or without the
        white space around it; a `.json` file is a manifest. Raises CommandError."""
        by_id: dict[str, str] = {}
        for file in _files(folder) if folder else ():
            for name, text in _documents(file, _text_of(file)):
                if by_id.setdefault(normalized_id(name), text) != text:
                    raise CommandError(f"Two documents have the id {name}; the second is in {file}.")
        if folder and not by_id:
            raise CommandError(f"There are no trusted documents in {folder}: no *.graphql, *.gql or *.json.")
        return cls(by_id, frozenset(text.strip() for text in by_id.values()), only)

    def allow(self, text: str) -> bool:
        return not self.only or text.strip() in self.texts


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise CommandError(f"The folder of trusted documents, {folder}, does not exist.")
    return sorted(file for file in folder.rglob("*") if file.suffix in (".graphql", ".gql", ".json"))


def _text_of(file: Path) -> str:
    try:
        return file.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"The trusted document {file} cannot be read: {error}.") from error


def _documents(file: Path, text: str) -> Iterator[tuple[str, str]]:
    """Each with its id."""
    if file.suffix != ".json":
        for version in (text, text.strip()):
            yield hashlib.sha256(version.encode()).hexdigest(), text.strip()
        return
    try:
        manifest = orjson.loads(text)
    except orjson.JSONDecodeError:
        manifest = None
    documents = _of_apollo(manifest) if isinstance(manifest, dict) and "format" in manifest else manifest
    if not isinstance(documents, dict) or not all(isinstance(each, str) for each in documents.values()):
        raise CommandError(f"{file} is no manifest of trusted documents: it should be {MANIFESTS}.")
    yield from documents.items()


def _of_apollo(manifest: dict[str, Any]) -> dict[Any, Any] | None:
    match manifest:
        case {"format": format_, "version": 1, "operations": list(operations)} if format_ == APOLLO:
            found = {each.get("id"): each.get("body") for each in operations if isinstance(each, dict)}
            return found if len(found) == len(operations) and all(isinstance(id_, str) for id_ in found) else None
    return None
