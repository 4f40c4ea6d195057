"""Mutations, each compared with one hand-written statement: the same checks and counters, plain tables, no history.

WAL, and what tables and indexes grow by, are in bytes a sample.
"""

import itertools
import json
import shutil
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

from benchmarks import pictures
from benchmarks.arena import Arena, opened
from benchmarks.load import Server, form
from benchmarks.others import Others
from benchmarks.runner import Bench, Measure, Row, Side

CLIENTS: Final = (1, 16, 64)
PAGE: Final = 100  # samples that are labelled together
STRIDE: Final = 7_919  # between them: those of a page are apart on the disk
MANY: Final = 1_000  # samples of one request
BOXES: Final = 60  # of a sample
UPLOADS, FILES = 5, 10  # requests, and files of each
START: Final = "2025-12-31T00:00:00Z"  # before all samples
UNDOING: Final = 1 / 1.2  # of the speed of what is undone

LABEL: Final = """mutation ($input: LabelSamplesInput!) {
    labelSamples(input: $input) { matchedCount changedCount change { id } } }"""
SUGGEST: Final = """mutation ($input: SuggestAnnotationsInput!) {
    suggestAnnotations(input: $input) { changedCount change { id } } }"""
DECIDE: Final = """mutation ($input: DecideSuggestionsInput!) {
    decideSuggestions(input: $input) { changedCount: sampleCount change { id } } }"""
CREATE: Final = "mutation ($input: CreateLabelsInput!) { createLabels(input: $input) { labels { id } } }"
DELETE: Final = """mutation ($input: DeleteLabelsInput!) {
    deleteLabels(input: $input) { affectedSampleCount deletedSampleCount change { id } } }"""
UNDO: Final = "mutation ($input: UndoChangeInput!) { undoChange(input: $input) { change { id } } }"
PUBLISH: Final = "mutation ($input: PublishVersionInput!) { publishVersion(input: $input) { version { id } } }"
UNPUBLISH: Final = "mutation ($input: DeleteVersionInput!) { deleteVersion(input: $input) { dataset { id } } }"
SWITCH: Final = "mutation ($input: SetCurrentVersionInput!) { setCurrentVersion(input: $input) { change { id } } }"
ANNOTATE: Final = """mutation ($input: AnnotateSamplesInput!) {
    annotateSamples(input: $input) { matchedCount changedCount } }"""
UPLOAD: Final = """mutation ($input: UploadSamplesInput!) {
    uploadSamples(input: $input) { results { sample { id } error { message } } } }"""


async def run(bench: Bench) -> None:
    for name, group in GROUPS.items():
        if bench.wants(name):
            async with opened(bench, "--no-worker", "--allow-root", str(bench.data)) as arena:
                for rows in await group(arena):
                    await bench.run(*rows)


# -- labelSamples, by many clients ------------------------------------------------------------------------------------


async def label_pages(arena: Arena) -> list[Sequence[Row]]:
    """Each request labels other samples, as long as there are some, or with other labels."""
    ours, hand = arena.ours, arena.hand
    tokens = itertools.cycle(arena.tokens)
    requests = (
        ours.graphql(LABEL, {"input": _selected(arena, ids) | {"labels": labels}}, token=next(tokens))
        for ids, labels in _labellings(arena.bench.rows)
    )
    by_hand = (
        hand.post("/label", {"dataset": arena.dataset, "ids": ids, "labels": labels})
        for ids, labels in _labellings(arena.bench.rows)
    )
    for server, request in ((ours, next(requests)), (hand, next(by_hand))):
        [payload] = (await server.ask(request)).values()
        if (payload["matchedCount"], payload["changedCount"]) != (PAGE, PAGE):
            raise SystemExit(f"{PAGE} samples are to be labelled, and the answer is {payload}")
    rows: list[Sequence[Row]] = []
    for clients in CLIENTS:
        how: dict[str, Any] = {"connections": clients, "seconds": arena.bench.seconds}
        sides = (
            arena.sized("public", partial(ours.measure, requests, **how), samples=PAGE, checkpoint=False),
            arena.sized("hand", partial(hand.measure, by_hand, **how), samples=PAGE, checkpoint=False),
        )
        name = f"labelSamples {PAGE} × 2 labels, {clients} client{'s' if clients > 1 else ''}"
        rows.append([Row(name, "1/s", *sides, goal=0.7, warm_up=True)])
    return rows


def _labellings(rows: int) -> Iterator[tuple[list[int], list[str]]]:
    pages = rows // PAGE
    for number in itertools.count():
        first, pair = number % pages * PAGE, number // pages % 25
        ids = [(first + place) * STRIDE % rows + 1 for place in range(PAGE)]
        yield ids, [f"label_{50 - 2 * pair}", f"label_{49 - 2 * pair}"]


def _selected(arena: Arena, ids: Sequence[int]) -> dict[str, Any]:
    return {"datasetId": arena.dataset_id, "select": {"ids": [f"Sample:{id}" for id in ids]}}


# -- a tenth of all samples in one change -----------------------------------------------------------------------------


@dataclass(slots=True)
class Bulk:
    """Puts a label on `count` samples that had none, and takes it off again in several ways. Samples are measured."""

    arena: Arena
    count: int
    until: str  # when the last of them was created
    label_id: str
    version_id: str = ""  # of the state without the label
    change_id: str = ""  # the last change
    last: Measure | None = None  # what it took
    labelling: Measure | None = None  # what labelling took last

    @classmethod
    async def of(cls, arena: Arena, count: int) -> "Bulk":
        unlabelled = "SELECT created_at FROM sample WHERE state = 'UNLABELED' ORDER BY created_at OFFSET $1 LIMIT 1"
        until = await arena.control.fetchval(unlabelled, count - 1)
        return cls(arena, count, until.isoformat(), await create_label(arena))

    async def start(self) -> None:
        """As at first, with a version."""
        await self.arena.follow()
        await self.arena.control.execute("VACUUM")
        _, payload = await self.arena.ours.mutate(PUBLISH, datasetId=self.arena.dataset_id)
        self.version_id = payload["version"]["id"]

    async def label(self) -> Measure:
        times = {"from": START, "to": self.until}
        select = {"filter": {"state": "UNLABELED", "createdAt": times}}
        self.labelling = await self._change(LABEL, datasetId=self.arena.dataset_id, select=select, labels=["bulk"])
        return self.labelling

    async def last_change(self) -> Measure:
        assert self.last is not None
        return self.last

    async def last_labelling(self) -> Measure:
        assert self.labelling is not None
        return self.labelling

    async def label_again(self) -> None:
        await self.label()

    async def delete(self, mode: str) -> Measure:
        return await self._change(DELETE, labelIds=[self.label_id], mode=mode)

    async def undo(self) -> Measure:
        return await self._measure(UNDO, changeId=self.change_id)

    async def switch(self) -> Measure:
        return await self._measure(SWITCH, versionId=self.version_id, onUnpublished="DISCARD")

    async def _change(self, document: str, **given: Any) -> Measure:
        self.last = await self._measure(document, **given)
        return self.last

    async def _measure(self, document: str, **given: Any) -> Measure:
        measure, payload = await self.arena.ours.mutate(document, **given)
        self.change_id = payload["change"]["id"]
        return replace(measure, count=self.count)

    async def label_by_hand(self) -> Measure:
        return await self._by_hand("/label_where", labels=["bulk"], **{"from": START, "to": self.until})

    async def delete_by_hand(self, mode: str) -> Measure:
        return await self._by_hand(f"/delete_label/{mode}", label=int(self.label_id.partition(":")[2]))

    async def _by_hand(self, path: str, **values: Any) -> Measure:
        return replace(await self.arena.by_hand(path, **values), count=self.count)


async def create_label(arena: Arena) -> str:
    """That of a bulk."""
    _, payload = await arena.ours.mutate(CREATE, datasetId=arena.dataset_id, labels=[{"name": "bulk"}])
    label_id: str = payload["labels"][0]["id"]
    return label_id


async def change_many(arena: Arena) -> list[Sequence[Row]]:
    """After each change the samples, labels and counters of both sides are compared."""
    bulk = await Bulk.of(arena, arena.bench.rows // 10)
    ours, hand = partial(arena.sized, "public"), partial(arena.sized, "hand")

    def undo(what: str) -> Row:
        name, baseline = f"undo of {what}", "what is undone"
        return Row(name, "µs", ours(bulk.undo), bulk.last_change, baseline, UNDOING, before=arena.expect_equal)

    many = f"{bulk.count:,} samples"
    rows = [
        Row(f"label {many} by filter", "µs", ours(bulk.label), hand(bulk.label_by_hand), goal=0.9, before=bulk.start),
        undo("labelling"),
    ]
    for mode, before in {"LABEL_ONLY": bulk.label_again, "LABEL_AND_SAMPLES": arena.follow}.items():
        sides = ours(partial(bulk.delete, mode)), hand(partial(bulk.delete_by_hand, mode))
        rows += [Row(f"deleteLabels {mode}, {many}", "µs", *sides, goal=0.9, before=before), undo(mode)]
    switch = ours(bulk.switch), bulk.last_labelling
    return [[*rows, Row(f"setCurrentVersion, {many}", "µs", *switch, "labelling them", UNDOING)]]


# -- suggestions ------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Suggesting:
    """A model suggests a label of `count` samples, which people decide by a filter; and people label as many others.
    What was done is undone before it is done again."""

    arena: Arena
    ids: Sequence[int]  # unlabelled samples, the oldest first: half of them are for the model
    middle: str  # when the last of that half was created, the first of the others, and the last
    after: str
    until: str
    has_suggested: bool = False
    change_ids: list[str] = field(default_factory=list)

    @classmethod
    async def of(cls, arena: Arena, count: int) -> "Suggesting":
        unlabelled = "SELECT id, created_at FROM sample WHERE state = 'UNLABELED' ORDER BY created_at, id LIMIT $1"
        rows = await arena.control.fetch(unlabelled, 2 * count)
        times = [row["created_at"].isoformat() for row in rows]
        await create_label(arena)
        return cls(arena, [row["id"] for row in rows], times[len(rows) // 2 - 1], times[len(rows) // 2], times[-1])

    @property
    def count(self) -> int:
        return len(self.ids) // 2

    async def undo(self) -> None:
        for change in reversed(self.change_ids):
            await self.arena.ours.mutate(UNDO, changeId=change)
        self.change_ids.clear()

    async def prepare(self) -> None:
        """Everything is suggested, and nothing decided."""
        await self.undo()
        for start in range(0, 0 if self.has_suggested else self.count, MANY):
            await self.suggest(self.ids[start : min(start + MANY, self.count)])
        self.has_suggested = True
        self.change_ids.clear()
        await self.arena.control.execute("VACUUM ANALYZE annotation")

    async def suggest(self, ids: Sequence[int]) -> Measure:
        annotations = [{"label": "bulk", "confidence": 0.9}]
        samples = [{"sampleId": f"Sample:{id}", "annotations": annotations} for id in ids]
        model = {"name": "bench", "modelVersion": "1"}
        return await self._measure(SUGGEST, len(ids), datasetId=self.arena.dataset_id, model=model, samples=samples)

    async def label(self, ids: Sequence[int]) -> Measure:
        return await self._measure(LABEL, len(ids), **_selected(self.arena, ids), labels=["bulk"])

    async def decide(self, decision: str) -> Measure:
        times = {"from": START, "to": self.middle}
        select = {"filter": {"state": "PENDING", "createdAt": times}}
        given = {"datasetId": self.arena.dataset_id, "select": select, "decision": decision}
        return await self._measure(DECIDE, self.count, **given)

    async def label_where(self) -> Measure:
        times = {"from": self.after, "to": self.until}
        select = {"filter": {"state": "UNLABELED", "createdAt": times}}
        given = {"datasetId": self.arena.dataset_id, "select": select, "labels": ["bulk"]}
        return await self._measure(LABEL, self.count, **given)

    async def _measure(self, document: str, count: int, **given: Any) -> Measure:
        measure, payload = await self.arena.ours.mutate(document, **given)
        self.change_ids.append(payload["change"]["id"])
        if payload["changedCount"] != count:
            raise SystemExit(f"{count} samples are to change, and the answer is {payload}")
        return replace(measure, count=count)


async def suggest(arena: Arena) -> list[Sequence[Row]]:
    """Compared with labelling as many samples."""
    model = await Suggesting.of(arena, arena.bench.rows // 20)
    sized, many = partial(arena.sized, "public"), model.ids[: min(MANY, model.count)]
    others = model.ids[-len(many) :]
    sides = sized(partial(model.suggest, many)), sized(partial(model.label, others))
    name = f"suggestAnnotations, {len(many):,} samples"
    rows = [Row(name, "1/s", *sides, "labelSamples", goal=0.8, before=model.undo, warm_up=True)]
    for decision in ("ACCEPT", "REJECT"):
        sides = sized(partial(model.decide, decision)), sized(model.label_where)
        name = f"decideSuggestions {decision}, {model.count:,} samples by filter"
        rows.append(Row(name, "µs", *sides, "labelling by filter", goal=0.9, before=model.prepare))
    return [[row] for row in rows]


# -- shapes, files and versions ---------------------------------------------------------------------------------------


async def annotate(arena: Arena) -> list[Sequence[Row]]:
    """Other boxes in each round, by a token that has not been slowed down for what it sent before."""
    for table in ("dataset", "hand.dataset"):
        await arena.control.execute(f"UPDATE {table} SET type = 'OBJECT_DETECTION'")
    samples, rounds = range(1, min(1_000, arena.bench.rows // 10) + 1), itertools.count()
    requests: dict[str, bytes] = {}

    async def prepare() -> None:
        """Made beforehand: to make them takes time in which this process would not notice how the others are."""
        await arena.expect_equal()
        number = next(rounds)
        boxes = _boxes(number)
        edits = [{"sampleId": f"Sample:{sample}", "add": boxes} for sample in samples]
        variables = {"input": {"datasetId": arena.dataset_id, "samples": edits}}
        requests["ours"] = arena.ours.graphql(ANNOTATE, variables, token=arena.tokens[number])
        by_number = [{"sampleId": sample, "add": boxes} for sample in samples]
        requests["by hand"] = arena.hand.post("/annotate", {"dataset": arena.dataset, "samples": by_number})

    async def ours() -> Measure:
        return (await arena.ours.time(requests["ours"]))[0]

    async def by_hand() -> Measure:
        return (await arena.hand.time(requests["by hand"]))[0]

    others, others_by_hand = arena.readers()
    sides = (
        arena.sized("public", others.during(ours), samples=len(samples) * BOXES),
        arena.sized("hand", others_by_hand.during(by_hand), samples=len(samples) * BOXES),
    )
    name = f"annotateSamples {len(samples):,} × {BOXES} boxes"
    return [[Row(name, "s", *sides, goal=0.6, before=prepare), others.row("others while annotating, p99")]]


def _boxes(number: int) -> list[dict[str, Any]]:
    """Of one sample; `number` makes them others."""
    boxes = []
    for box in range(BOXES):
        left, top = box * 10 + number / 10, box * 7
        sides = {"xMin": left, "yMin": top, "xMax": left + 30, "yMax": top + 20}
        boxes.append({"label": f"label_{box % 10 + 1}", "shape": {"boundingBox": sides}})
    return boxes


async def upload(arena: Arena) -> list[Sequence[Row]]:
    """Some requests, one after the other, each of which is made beforehand."""
    folders = arena.bench.data / "uploads", arena.bench.data / "uploads_by_hand"
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
    await arena.control.execute("UPDATE dataset SET input_path = $1", str(folders[0]))
    photo = pictures.photo(1_200, 900)
    variables = {"input": {"datasetId": arena.dataset_id, "files": [None] * FILES}}
    fields = {
        "operations": json.dumps({"query": UPLOAD, "variables": variables}),
        "map": json.dumps({str(file): [f"variables.input.files.{file}"] for file in range(FILES)}),
    }
    by_hand = {"dataset": str(arena.dataset), "folder": str(folders[1])}

    def side(server: Server, path: str, fields: Mapping[str, str]) -> Side:
        numbers = itertools.count()

        async def measure() -> Measure:
            requests = []
            for _ in range(UPLOADS):
                names = [f"{next(numbers)}.jpg" for _ in range(FILES)]
                files = {str(file): (name, pictures.commented(photo, name)) for file, name in enumerate(names)}
                requests.append(form(path, fields, files, token=server.token))
            return await server.measure(iter(requests))

        return measure

    ours = arena.sized("public", side(arena.ours, "/graphql", fields), samples=FILES)
    hand = arena.sized("hand", side(arena.hand, "/upload", by_hand), samples=FILES)
    name = f"uploadSamples {FILES} × {len(photo) // 1_000} kB"
    return [[Row(name, "ms", ours, hand, goal=0.7, before=arena.expect_equal, warm_up=True)]]


async def publish(arena: Arena) -> list[Sequence[Row]]:
    """By hand, the same rows are copied from a version that was published before."""
    split = {"datasetId": arena.dataset_id, "split": {"trainRatio": 0.8}}
    versions = [(await arena.ours.mutate(PUBLISH, **split))[1]["version"]["id"]]

    async def delete_last() -> None:
        await arena.control.execute("TRUNCATE hand.version_eval")
        for version in versions[1:]:
            await arena.ours.mutate(UNPUBLISH, versionId=version)
        del versions[1:]

    async def ours() -> Measure:
        measure, payload = await arena.ours.mutate(PUBLISH, **split)
        versions.append(payload["version"]["id"])
        return measure

    async def by_hand() -> Measure:
        return await arena.by_hand("/copy_split", version=int(versions[0].partition(":")[2]))

    labelling = [
        arena.ours.graphql(LABEL, {"input": _selected(arena, [1]) | {"labels": ["label_50"], "mode": mode}})
        for mode in ("ADD", "REMOVE")
    ]
    others = Others(arena.ours, itertools.cycle(labelling), arena.bench.seconds)
    samples = arena.bench.rows
    sides = arena.sized("public", others.during(ours), samples=samples), arena.sized("hand", by_hand, samples=samples)
    name, baseline = f"publishVersion with a split, {samples:,} samples", "INSERT … SELECT of its rows"
    return [
        [Row(name, "s", *sides, baseline, 1 / 3, before=delete_last), others.row("labelling while publishing, p99")]
    ]


GROUPS: Final[Mapping[str, Callable[[Arena], Awaitable[list[Sequence[Row]]]]]] = {
    "labelSamples": label_pages,
    "label by filter, deleteLabels, undo, setCurrentVersion": change_many,
    "suggestAnnotations, decideSuggestions": suggest,
    "annotateSamples": annotate,
    "uploadSamples": upload,
    "publishVersion": publish,
}
