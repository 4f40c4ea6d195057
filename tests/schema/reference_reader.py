# ruff: noqa: A002, N802, N803 - methods and arguments have the public names of fields
"""The reference reader, with which the compiler is compared: plain Python over plain rows, slow and simple.

GraphQL's own reference execution walks the document; every field is a line of Python below; every table is read whole.
It shares nothing with the compiler but the SDL.
"""

import base64
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from graphql import ExecutionResult, GraphQLSchema, execute_sync, parse

from tests.schema.reference_auto_labels import AutoLabelJob
from tests.schema.reference_jobs import ExportJob, ImportJob, SyncJob
from tests.schema.reference_lists import (
    directory_below,
    facet,
    has_text,
    is_in_timeline,
    matches,
    order_name,
    paged,
    sorting,
)
from tests.schema.reference_things import Row, Tables, Thing, moment


def read(schema: GraphQLSchema, source: str, variables: dict[str, Any], tables: Tables) -> Any:
    result = run(schema, source, variables, tables)
    assert result.errors is None, result.errors
    return result.data


def run(schema: GraphQLSchema, source: str, variables: dict[str, Any], tables: Tables) -> ExecutionResult:
    return execute_sync(
        schema,
        parse(source),
        Query(tables),
        variable_values=variables,
        type_resolver=lambda value, *_: type(value).__name__,
    )


def is_number(text: str) -> bool:
    return text.isdecimal() and text == str(int(text))


class Query:
    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self.viewer = {
            "name": tables.viewer,
            "scope": "READ",
            "expiresAt": None,
            "datasetIds": None if tables.allowed is None else [f"Dataset:{id}" for id in sorted(tables.allowed)],
            "canCreateDatasets": False,
        }
        limits = {"maxFileBytes": 5 << 20, "maxRequestBytes": 8 << 20, "formats": ["JPEG", "PNG", "BMP"]}
        self.serverInfo = {"version": "1.2.3", "uploadLimits": limits, "maxPageSize": 100, "features": []}

    def node(self, _info: Any, id: str) -> Any:
        kind, _, number = id.partition(":")
        by_type = {
            "Dataset": None,
            "Label": ("label", Label),
            "Sample": ("sample", Sample),
            "Annotation": ("annotation", Annotation),
            "Change": ("change", Change),
            "SyncJob": ("job", SyncJob),
            "ImportJob": ("job", ImportJob),
            "ExportJob": ("job", ExportJob),
            "LargeChangeJob": ("job", LargeChangeJob),
            "Model": ("model", Model),
            "AutoLabelJob": ("job", AutoLabelJob),
        }
        if kind not in by_type or not is_number(number):
            return None
        if kind == "Dataset":
            return self.tables.dataset(int(number))
        table, make = by_type[kind]  # type: ignore[misc]
        row = self.tables.by_id(table, int(number))
        if row is None or self.tables.dataset(row["dataset_id"]) is None:
            return None
        if table == "job" and JOBS.get(row["kind"]) is not make:
            return None
        return make(self.tables, row)

    def nodes(self, info: Any, ids: list[str]) -> list[Any]:
        return [self.node(info, each) for each in ids]

    def dataset(self, _info: Any, by: Mapping[str, str]) -> Any:
        if "id" in by:
            kind, _, number = by["id"].partition(":")
            return self.tables.dataset(int(number)) if kind == "Dataset" and is_number(number) else None
        found = self.tables.having("dataset", name=by["name"], deleted_at=None)
        return self.tables.dataset(found[0]["id"]) if found else None

    def datasets(self, _info: Any, orderBy: Any = None, filter: Any = None, **page: Any) -> Any:
        rows = [row for row in self.tables.rows["dataset"] if self.tables.dataset(row["id"])]
        filter_ = filter or {}
        if filter_.get("type") is not None:
            rows = [row for row in rows if row["type"] == filter_["type"]]
        if filter_.get("name") is not None:
            rows = [row for row in rows if has_text(row["name"], filter_["name"])]
        name, order = order_name("dataset", orderBy), sorting(self.tables, orderBy)
        return paged(self.tables, name, rows, *order, lambda row: Dataset(self.tables, row), page)


class Dataset(Thing):
    def _mine(self, table: str) -> list[Row]:
        return self.tables.having(table, dataset_id=self.row["id"])

    def statistics(self, _info: Any) -> Any:
        states = [row["state"] for row in self._mine("sample")]
        return {
            "totalCount": len(states),
            "labeledCount": states.count("LABELED"),
            "unlabeledCount": states.count("UNLABELED"),
            "pendingCount": states.count("PENDING"),
        }

    def viewerCan(self, _info: Any) -> Any:
        return dict.fromkeys(("label", "undo", "upload", "sync", "publish", "manage", "rename"), False)

    def hasUnpublishedChanges(self, _info: Any) -> bool:
        return bool(self.row["revision"] > 0)

    def labels(self, _info: Any) -> list[Any]:
        return [Label(self.tables, row) for row in sorted(self._mine("label"), key=lambda row: row["id"])]

    def label(self, _info: Any, name: str) -> Any:
        found = [row for row in self._mine("label") if row["name"] == name]
        return Label(self.tables, found[0]) if found else None

    def sample(self, _info: Any, path: str) -> Any:
        found = [row for row in self._mine("sample") if row["path"] == path]
        return Sample(self.tables, found[0]) if found else None

    def version(self, _info: Any, name: str) -> Any:
        return None

    def models(self, _info: Any, **page: Any) -> Any:
        newest = (lambda row: row["id"], True)
        return paged(self.tables, "model", self._mine("model"), *newest, lambda row: Model(self.tables, row), page)

    def labelers(self, _info: Any) -> list[str]:
        return sorted({row["labeled_by"] for row in self._mine("sample")} - {None}, key=str.encode)

    def samples(self, _info: Any, orderBy: Any = None, filter: Any = None, **page: Any) -> Any:
        rows = [row for row in self._mine("sample") if matches(self.tables, row, filter or {})]
        name, order = order_name("sample", orderBy), sorting(self.tables, orderBy)
        connection = paged(self.tables, name, rows, *order, lambda row: Sample(self.tables, row), page)
        return {**connection, "facets": SampleFacets(self.tables, rows)}

    def eventCursor(self, _info: Any) -> str:
        last = max((row["number"] for row in self._mine("dataset_event")), default=0)
        body = f"events:{self.row['id']}:{self.row['revision']}:{last}"
        whole = hashlib.sha256(body.encode()).hexdigest()[:8] + body
        return base64.urlsafe_b64encode(whole.encode()).decode().rstrip("=")

    def embeddingModels(self, _info: Any) -> list[Any]:
        return []  # tests/schema/test_embeddings.py has some

    def activeJob(self, _info: Any) -> Any:
        active = [row for row in self._jobs() if row["status"] in ("QUEUED", "RUNNING") and row["kind"] in EXCLUSIVE]
        return job(self.tables, active[0]) if active else None

    def _jobs(self) -> list[Row]:
        return [row for row in self._mine("job") if row["kind"] in JOBS]

    def jobs(self, _info: Any, filter: Any = None, **page: Any) -> Any:
        columns = {"statuses": "status", "requestedBy": "requested_by", "kinds": "kind"}
        rows = [row for row in self._jobs() if is_in_timeline(self.tables, row, filter, "created_at", **columns)]
        newest = (lambda row: (row["created_at"], row["id"]), True)
        return paged(self.tables, "job", rows, *newest, lambda row: job(self.tables, row), page)

    def changes(self, _info: Any, filter: Any = None, **page: Any) -> Any:
        columns = {"actors": "actor", "kinds": "kind"}
        rows = [row for row in self._mine("change") if is_in_timeline(self.tables, row, filter, "at", **columns)]
        newest = (lambda row: (row["at"], row["revision"]), True)
        return paged(self.tables, "change", rows, *newest, lambda row: Change(self.tables, row), page)


class LiveThing(Thing):
    """A thing of the working set, which versions have, too."""

    version = None

    def current(self, _info: Any) -> Any:
        return self


class Label(LiveThing):
    def dataset(self, _info: Any) -> Any:
        return self.tables.dataset(self.row["dataset_id"])

    def sampleCount(self, _info: Any) -> int:
        return sum(self.row["id"] in row["label_ids"] for row in self.tables.rows["sample"])

    def annotationCount(self, _info: Any) -> int:
        return len(self.tables.having("annotation", label_id=self.row["id"], confirmed=True))

    def suggestionCount(self, _info: Any) -> int:
        return len(self.tables.having("annotation", label_id=self.row["id"], confirmed=False))


def _of_source(column: str) -> Callable[["Sample", Any], Any]:
    """A field of a sample whose value is a column of its source."""
    return lambda sample, _info: sample.source()[column]


class Sample(LiveThing):
    def dataset(self, _info: Any) -> Any:
        return self.tables.dataset(self.row["dataset_id"])

    def directory(self, _info: Any) -> Any:
        return self.row["path"].rpartition("/")[0]

    def fileName(self, _info: Any) -> Any:
        return self.row["path"].rpartition("/")[2]

    def source(self) -> Row:
        found = self.tables.by_id("source", self.row["source_id"])
        assert found is not None
        return found

    size = _of_source("size")
    width = _of_source("width")
    height = _of_source("height")
    orientation = _of_source("orientation")
    format = _of_source("format")

    def isDamaged(self, _info: Any) -> Any:
        return self.source()["damaged"]

    def isSourceAvailable(self, _info: Any) -> Any:
        return self.source()["status"] == "PRESENT"

    def labels(self, _info: Any) -> list[Any]:
        found = [self.tables.by_id("label", number) for number in sorted(self.row["label_ids"])]
        return [Label(self.tables, row) for row in found if row]

    def annotations(self, _info: Any) -> list[Any]:
        found = self.tables.having("annotation", sample_id=self.row["id"])
        return [Annotation(self.tables, row) for row in sorted(found, key=lambda row: row["id"])]

    def revision(self, _info: Any) -> Any:
        return self.row["since"]

    def imageUrl(self, _info: Any) -> str:
        suffix = self._suffix() if self._is_shown() else ".jpg"
        return self.tables.links.image(self.row["source_id"], suffix)

    def originalUrl(self, _info: Any) -> str:
        sign = self.tables.links.image if self._is_shown() else self.tables.links.original
        return sign(self.row["source_id"], self._suffix())

    def _is_shown(self) -> bool:
        source = self.source()
        return source["format"] != "TIFF" and (source["width"] or 0) <= 16_384 and (source["height"] or 0) <= 16_384

    def _suffix(self) -> str:
        form = self.source()["format"]
        return {None: ".jpg", "JPEG": ".jpg", "TIFF": ".tif"}.get(form) or f".{form.lower()}"

    def thumbnailUrl(self, _info: Any, size: int) -> str:
        if not 16 <= size <= 1024:
            raise ValueError("size")
        return self.tables.links.thumbnail(self.row["source_id"], size)

    def urlExpiresAt(self, _info: Any) -> Any:
        return moment(datetime.fromtimestamp(self.tables.links.expiry, UTC))


class SampleFacets:
    def __init__(self, tables: Tables, rows: Sequence[Row]) -> None:
        self.tables, self.rows = tables, rows
        self.hardCount = sum(row["hard"] for row in rows)

    def states(self, _info: Any) -> Any:
        return facet([row["state"] for row in self.rows])

    def labels(self, _info: Any, first: int | None = None) -> Any:
        found = {number: self.tables.by_id("label", number) or {} for row in self.rows for number in row["label_ids"]}
        names = {label["name"]: Label(self.tables, label) for label in found.values()}
        counted = facet([found[number]["name"] for row in self.rows for number in row["label_ids"]], first)
        return [{"label": names[each["value"]], "count": each["count"]} for each in counted]

    def labelers(self, _info: Any, first: int | None = None) -> Any:
        return facet([row["labeled_by"] for row in self.rows], first)

    def directories(self, _info: Any, under: str | None = None, first: int | None = None) -> Any:
        return facet([directory_below(under or "", row["path"]) for row in self.rows], first)

    def usages(self, _info: Any) -> Any:
        return facet([row["usage"] for row in self.rows])


class Annotation(LiveThing):
    def isDifficult(self, _info: Any) -> bool:
        return "difficult" in self._attributes()

    def isTruncated(self, _info: Any) -> bool:
        return "truncated" in self._attributes()

    def isOccluded(self, _info: Any) -> bool:
        return "occluded" in self._attributes()

    def pose(self, _info: Any) -> Any:
        return self._attributes().get("pose")

    def _attributes(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = json.loads(self.row["attributes"] or "{}")
        return found

    def label(self, _info: Any) -> Any:
        return Label(self.tables, self.tables.by_id("label", self.row["label_id"]) or {})

    def model(self, _info: Any) -> Any:
        row = self.tables.by_id("model", self.row["model_id"])
        return None if row is None else Model(self.tables, row)

    def shape(self, _info: Any) -> Any:
        stored = self.row["shape"]
        if stored is None:
            return None
        fields = json.loads(stored) if isinstance(stored, str) else stored
        return SHAPES[fields["type"]](fields)


class Shape:
    def __init__(self, fields: Mapping[str, Any]) -> None:
        self.__dict__.update(fields)


SHAPES: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {
    name: type(name, (Shape,), {}) for name in ("BoundingBox", "Polygon", "Polyline", "Circle", "Point")
}


def suggestion_counts(tables: Tables, **of: int) -> dict[str, Any]:
    """How many suggestions there are, and what came of them: of a model, or of a label by it."""
    outcomes = ["ACCEPTED" if row["confirmed"] else "PENDING" for row in tables.having("annotation", **of)]
    outcomes += [row["outcome"] for row in tables.having("verdict", **of)]
    counts = {f"{name.lower()}Count": outcomes.count(name) for name in ("PENDING", "ACCEPTED", "REJECTED", "CORRECTED")}
    decided = len(outcomes) - counts["pendingCount"]
    precision = counts["acceptedCount"] / decided if decided else None
    return {**counts, "suggestedCount": len(outcomes), "precision": precision}


class Model(Thing):
    def __init__(self, tables: Tables, row: Row) -> None:
        super().__init__(tables, row)
        for name, value in suggestion_counts(tables, model_id=row["id"]).items():
            setattr(self, name, value)

    def dataset(self, _info: Any) -> Any:
        return self.tables.dataset(self.row["dataset_id"])

    def modelVersion(self, _info: Any) -> Any:
        return self.row["version"]

    def lastSuggestedAt(self, _info: Any) -> Any:
        return moment(self.row["suggested_at"])

    def labels(self, _info: Any) -> list[Any]:
        facts = (*self.tables.having("annotation", model_id=self.row["id"]),)
        facts += (*self.tables.having("verdict", model_id=self.row["id"]),)
        return [
            {
                "label": Label(self.tables, self.tables.by_id("label", id) or {}),
                **suggestion_counts(self.tables, model_id=self.row["id"], label_id=id),
            }
            for id in sorted({fact["label_id"] for fact in facts})
        ]


class Change(Thing):
    def dataset(self, _info: Any) -> Any:
        return self.tables.dataset(self.row["dataset_id"])

    def _touched(self, table: str) -> tuple[list[Row], set[int]]:
        """The live rows that it made or changed, and the ids of those that it removed and that are not back."""
        live, past = (
            [row for row in self.tables.rows[each] if row["dataset_id"] == self.row["dataset_id"]]
            for each in (table, f"{table}_past")
        )
        begun = {row["id"] for row in (*live, *past) if row["since"] == self.row["revision"]}
        ended = {row["id"] for row in past if row["until"] == self.row["revision"]}
        rows = sorted((row for row in live if row["id"] in begun), key=lambda row: row["id"])
        return rows, ended - begun - {row["id"] for row in live}

    def samples(self, _info: Any, **page: Any) -> Any:
        rows, _ = self._touched("sample")
        by_id = (lambda row: row["id"], False)
        connection = paged(self.tables, "change.sample", rows, *by_id, lambda row: Sample(self.tables, row), page)
        return {**connection, "facets": SampleFacets(self.tables, rows)}

    def sampleCount(self, _info: Any) -> int:
        return len(self._touched("sample")[0])

    def deletedSampleIds(self, _info: Any) -> list[str]:
        return [f"Sample:{id}" for id in sorted(self._touched("sample")[1])]

    def deletedSampleCount(self, _info: Any) -> int:
        return len(self._touched("sample")[1])

    def labels(self, _info: Any) -> list[Any]:
        return [Label(self.tables, row) for row in self._touched("label")[0]]

    def isUndoableByViewer(self, _info: Any) -> bool:
        return False  # of a token that may only read: tests/schema/test_undo_permissions.py has the others

    def createdAt(self, _info: Any) -> Any:
        return moment(self.row["at"])

    def undoneBy(self, _info: Any) -> Any:
        row = self.tables.by_id("change", self.row["undone_by"])
        return Change(self.tables, row) if row else None


class LargeChangeJob(SyncJob):
    def sampleCount(self, _info: Any) -> Any:
        return self.row["matched"]

    def change(self, _info: Any) -> Any:
        found = self.tables.having("change", job_id=self.row["id"])
        return Change(self.tables, found[0]) if found else None


EXCLUSIVE = ("SYNC", "IMPORT")
JOBS: Mapping[str, type[SyncJob]] = {
    "SYNC": SyncJob,
    "IMPORT": ImportJob,
    "EXPORT": ExportJob,
    "LARGE_CHANGE": LargeChangeJob,
    "AUTO_LABEL": AutoLabelJob,
}


def job(tables: Tables, row: Row) -> SyncJob:
    return JOBS[row["kind"]](tables, row)
