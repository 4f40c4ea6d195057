"""Filters and pages of the reference reader."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from hashlib import md5, sha256
from math import inf
from typing import Any
from unicodedata import normalize

from tests.schema.reference_things import Row, Tables


def matches(tables: Tables, row: Row, filter_: Mapping[str, Any]) -> bool:
    source = tables.by_id("source", row["source_id"]) or {}
    tests: Mapping[str, Callable[[Any], bool]] = {
        "state": lambda value: row["state"] == value,
        "usage": lambda value: row["usage"] == value,
        "isHard": lambda value: row["hard"] == value,
        "isDamaged": lambda value: source["damaged"] == value,
        "labeledBy": lambda value: not value or row["labeled_by"] in value,
        "labels": lambda value: has_labels(tables, row, value),
        "ids": lambda value: not value or f"Sample:{row['id']}" in value,
        "changedSince": lambda value: row["since"] > value,
        "createdAt": lambda value: in_time(tables.now, row["created_at"], value),
        "addedAt": lambda value: in_time(tables.now, row["added_at"], value),
        "labeledAt": lambda value: row["labeled_at"] is not None and in_time(tables.now, row["labeled_at"], value),
        "isSourceAvailable": lambda value: (source["status"] == "PRESENT") == value,
        "width": lambda value: in_bounds(source["width"], value),
        "height": lambda value: in_bounds(source["height"], value),
        "size": lambda value: in_bounds(source["size"], value),
        "format": lambda value: source["format"] == value,
        "annotationCount": lambda value: in_bounds(len(tables.having("annotation", sample_id=row["id"])), value),
        "fileName": lambda value: has_text(row["path"].rpartition("/")[2], value),
        "path": lambda value: in_directory(row["path"], value),
        "suggestions": lambda value: any(
            suits(tables, row, each, value)
            for each in tables.having("annotation", sample_id=row["id"], confirmed=False)
        ),
        "and": lambda value: all(matches(tables, row, each) for each in value),
        "or": lambda value: any(matches(tables, row, each) for each in value),
        "not": lambda value: not matches(tables, row, value),
    }
    return all(tests[name](value) for name, value in filter_.items() if value is not None)


def is_in_timeline(tables: Tables, row: Row, filter_: Mapping[str, Any] | None, moment: str, **columns: str) -> bool:
    """Whether a change or a job matches. `columns`: what the lists of the filter are compared with."""
    given = {name: value for name, value in (filter_ or {}).items() if value}
    period = given.pop("createdAt", {})
    return in_time(tables.now, row[moment], period) and all(row[columns[name]] in given[name] for name in given)


def has_labels(tables: Tables, row: Row, filter_: Mapping[str, Any]) -> bool:
    labels = [label for label in tables.rows["label"] if label["id"] in row["label_ids"]]
    carried = {label["name"] for label in labels} | {f"Label:{label['id']}" for label in labels}
    required = {*(filter_.get("names") or ()), *(filter_.get("ids") or ())}
    return (
        not required
        or {
            "ANY": bool(carried & required),
            "ALL": required <= carried,
            "NONE": not carried & required,
        }[filter_["match"]]
    )


def suits(tables: Tables, row: Row, suggestion: Row, filter_: Mapping[str, Any]) -> bool:
    label = tables.by_id("label", suggestion["label_id"]) or {}
    model = tables.by_id("model", suggestion["model_id"]) or {}
    labels = [*(filter_.get("labels") or ()), *(filter_.get("labelIds") or ())]
    models = [(each["name"], each["modelVersion"]) for each in filter_.get("models") or ()]
    disagrees = bool(row["label_ids"]) and suggestion["label_id"] not in row["label_ids"]
    return (
        (not labels or label["name"] in labels or f"Label:{label['id']}" in labels)
        and (not models or (model.get("name"), model.get("version")) in models)
        and in_bounds(suggestion["confidence"] or 0, filter_.get("confidence") or {})
        and filter_.get("disagreesWithLabels") in (None, disagrees)
    )


def in_bounds(number: float | None, filter_: Mapping[str, Any]) -> bool:
    eq, least, most = (filter_.get(name) for name in ("eq", "min", "max"))
    if eq is least is most is None:
        return True
    return number is not None and (
        (eq is None or number == eq) and (least is None or number >= least) and (most is None or number <= most)
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
    starts_with, paths = filter_.get("startsWith"), filter_.get("in")
    if starts_with is not None and not path.startswith(starts_with):
        return False
    if paths and path not in [normalize("NFC", each) for each in paths]:
        return False
    if directory is None:
        return True
    parents = [part for part in directory.split("/") if part]
    own = path.split("/")[:-1]
    return own[: len(parents)] == parents if filter_["recursive"] else own == parents


# -- facets -----------------------------------------------------------------------------------------------------------


def facet(values: Iterable[str | None], first: int | None = None) -> list[dict[str, Any]]:
    """Each value once, with how often it is there: the most frequent first, then by code points."""
    counts = Counter(value for value in values if value is not None)
    by_count = sorted(counts.items(), key=lambda item: (-item[1], item[0].encode()))
    return [{"value": value, "count": count} for value, count in by_count[: 50 if first is None else first]]


def directory_below(under: str, path: str) -> str | None:
    """The directory directly in another that a path is below, in NFC."""
    path, start = normalize("NFC", path), normalize("NFC", under).strip("/")
    start = f"{start}/" if start else ""
    name, slash, _ = path.removeprefix(start).partition("/")
    return start + name if path.startswith(start) and slash else None


def token(name: str, row: Row) -> str:
    """The cursors of the reference reader: the list and order, and what is unique in it."""
    unique = {"change": "revision"}.get(name, "id")
    return f"{name}:{row[unique]}"


# -- orders -----------------------------------------------------------------------------------------------------------

SUGGESTION_FIELDS = tuple(f"SUGGESTION_{name}" for name in ("CONFIDENCE", "MARGIN", "ENTROPY", "DISAGREEMENT"))
SAMPLE_FIELDS = ("CREATED_AT", "ADDED_AT", "LABELED_AT", "PATH", "SIZE", "RANDOM", *SUGGESTION_FIELDS)
DATASET_FIELDS = ("CREATED_AT", "NAME")
SEEDS = ("", "a", "猫:1")
NEVER = datetime(1, 1, 1, microsecond=1, tzinfo=UTC)


def natural(path: str) -> tuple[Any, ...]:
    """A path as its parts are compared: what is no number by its bytes, a number by its value."""
    parts = re.findall("[0-9]+|[^0-9]", path)
    return tuple((b"0", int(part)) if part.isdigit() and part.isascii() else (part.encode(), 0) for part in parts)


def order_name(list_: str, order: Mapping[str, Any] | None) -> str:
    """What the cursors of a list in this order are called."""
    order = order or {"field": "CREATED_AT", "direction": "DESC"}
    seed = (order.get("seed") or "") if order["field"] == "RANDOM" else ""
    return f"{list_}.{order['field']}.{order.get('direction') or 'ASC'}{f'.{seed}' if seed else ''}"


def sorting(tables: Tables, order: Mapping[str, Any] | None) -> tuple[Callable[[Row], Any], bool]:
    """The sort key of a row, and whether the order is descending."""
    order = order or {"field": "CREATED_AT", "direction": "DESC"}
    keys: Mapping[str, Callable[[Row], Any]] = {
        "CREATED_AT": lambda row: (row["created_at"], row["id"]),
        "ADDED_AT": lambda row: (row["added_at"], row["id"]),
        "LABELED_AT": lambda row: (row["labeled_at"] or NEVER, row["id"]),
        "PATH": lambda row: (natural(row["path"]), row["id"]),
        "NAME": lambda row: row["name"].encode(),
        "SIZE": lambda row: ((tables.by_id("source", row["source_id"]) or {})["size"], row["source_id"]),
        "RANDOM": lambda row: shuffled(row["source_id"], order.get("seed") or ""),
        **dict.fromkeys(SUGGESTION_FIELDS, lambda row: suggested(row, order)),
    }
    return keys[order["field"]], order.get("direction") == "DESC"


def suggested(row: Row, order: Mapping[str, Any]) -> tuple[float, datetime, int]:
    """Samples without a value are last in both directions."""
    value, last = row[order["field"].lower()], -inf if order.get("direction") == "DESC" else inf
    return last if value is None else value, row["created_at"], row["id"]


def shuffled(source_id: int, seed: str) -> tuple[str, str]:
    key = sha256(seed.encode()).hexdigest()[:16]
    bucket = (source_id % 2147483647 * 1103515245) >> 16 & 1023
    return md5_of(f"{key}:{bucket}"), md5_of(f"{key}:{source_id}")


def md5_of(text: str) -> str:
    return md5(text.encode(), usedforsecurity=False).hexdigest()[:16]


# -- pages ------------------------------------------------------------------------------------------------------------


def paged(
    tables: Tables,
    name: str,
    rows: Iterable[Row],
    key: Callable[[Row], Any],
    descending: bool,
    make: Callable[[Row], Any],
    page: Mapping[str, Any],
) -> Any:
    after, before = (tables.cursors.get(page[side]) if page.get(side) else None for side in ("after", "before"))
    first, last = page.get("first"), page.get("last")
    if max(first or 0, last or 0) > 100:
        raise ValueError("page")

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
