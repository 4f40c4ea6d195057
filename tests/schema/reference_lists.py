"""Filters and pages of the reference reader."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from unicodedata import normalize

if TYPE_CHECKING:
    from tests.schema.reference_reader import Tables

Row = dict[str, Any]


def matches(tables: "Tables", row: Row, filter_: Mapping[str, Any]) -> bool:
    tests: Mapping[str, Callable[[Any], bool]] = {
        "state": lambda value: row["state"] == value,
        "usage": lambda value: row["usage"] == value,
        "isHard": lambda value: row["hard"] == value,
        "isDamaged": lambda value: (tables.by_id("source", row["source_id"]) or {})["damaged"] == value,
        "labeledBy": lambda value: not value or row["labeled_by"] in value,
        "labels": lambda value: has_labels(tables, row, value),
        "createdAt": lambda value: in_time(tables.now, row["created_at"], value),
        "fileName": lambda value: has_text(row["path"].rpartition("/")[2], value),
        "path": lambda value: in_directory(row["path"], value),
        "and": lambda value: all(matches(tables, row, each) for each in value),
        "or": lambda value: any(matches(tables, row, each) for each in value),
        "not": lambda value: not matches(tables, row, value),
    }
    return all(tests[name](value) for name, value in filter_.items() if value is not None)


def has_labels(tables: "Tables", row: Row, filter_: Mapping[str, Any]) -> bool:
    names = {label["name"] for label in tables.rows["label"] if label["id"] in row["label_ids"]}
    required = set(filter_["names"])
    return (
        not required
        or {"ANY": bool(names & required), "ALL": required <= names, "NONE": not names & required}[filter_["match"]]
    )


def in_time(now: datetime, made: datetime, filter_: Mapping[str, Any]) -> bool:
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    days = {None: None, "WITHIN_1_DAY": 1, "WITHIN_1_MONTH": 30}[filter_.get("preset")]
    if days is not None and not today - timedelta(days=days) <= made <= now:
        return False
    start, end = filter_.get("from"), filter_.get("to")
    return (start is None or datetime.fromisoformat(start) <= made) and (
        end is None or made <= datetime.fromisoformat(end)
    )


def in_nfc(filter_: Mapping[str, Any]) -> dict[str, Any]:
    return {name: normalize("NFC", value) if isinstance(value, str) else value for name, value in filter_.items()}


def has_text(text: str, filter_: Mapping[str, Any]) -> bool:
    text, filter_ = normalize("NFC", text), in_nfc(filter_)
    contains, eq = filter_.get("contains"), filter_.get("eq")
    return (contains is None or contains.lower() in text.lower()) and (eq is None or text == eq)


def in_directory(path: str, filter_: Mapping[str, Any]) -> bool:
    path, filter_ = normalize("NFC", path), in_nfc(filter_)
    directory, contains = filter_.get("directory"), filter_.get("contains")
    if contains is not None and contains.lower() not in path.lower():
        return False
    if directory is None:
        return True
    parents = [part for part in directory.split("/") if part]
    own = path.split("/")[:-1]
    return own[: len(parents)] == parents if filter_["recursive"] else own == parents


def token(name: str, row: Row) -> str:
    """The cursors of the reference reader: the list and order, and what is unique in it."""
    unique = {"change": "revision", "sample.PATH": "path", "dataset.NAME": "name"}.get(name, "id")
    return f"{name}:{row[unique]}"


# -- pages ------------------------------------------------------------------------------------------------------------


def paged(
    tables: "Tables",
    name: str,
    rows: Iterable[Row],
    key: Callable[[Row], Any],
    descending: bool,
    make: Callable[[Row], Any],
    page: Mapping[str, Any],
) -> Any:
    after, before = (tables.cursors.get(page[side]) if page.get(side) else None for side in ("after", "before"))
    first, last = page.get("first"), page.get("last")

    def is_before(row: Row, other: Row) -> bool:
        return bool(key(row) > key(other) if descending else key(row) < key(other))

    everything = sorted(rows, key=key, reverse=descending)
    within = [row for row in everything if after is None or is_before(after, row)]
    within = [row for row in within if before is None or is_before(row, before)]
    shown = within[: 20 if first is None else first] if last is None else within[len(within) - min(last, len(within)) :]
    cut = len(within) > len(shown)
    more_after = before is not None and any(not is_before(row, before) for row in everything)
    more_before = after is not None and any(not is_before(after, row) for row in everything)
    cursors = [token(name, row) for row in shown]
    nodes = [make(row) for row in shown]
    return {
        "nodes": nodes,
        "edges": [{"cursor": cursor, "node": node} for cursor, node in zip(cursors, nodes, strict=True)],
        "totalCount": len(everything),
        "pageInfo": {
            "hasNextPage": (cut and last is None) or more_after,
            "hasPreviousPage": (cut and last is not None) or more_before,
            "startCursor": cursors[0] if cursors else None,
            "endCursor": cursors[-1] if cursors else None,
        },
    }
