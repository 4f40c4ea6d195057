"""Generated lives of a directory and its dataset: after every sync the working set is what the plain model says, and
a dry run has said what the sync does."""

import itertools
from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from db.datasets import check
from db.ingest.sync import stages
from db.postgres.engine import Database
from tests.db import dataset_fixture
from tests.db.dataset_fixture import DatasetFixture, image_bytes
from tests.db.sync_model import BAD, Model, Sample

CONTENTS = {"red": image_bytes("red"), "green": image_bytes("green"), "blue": image_bytes("blue"), BAD: b"no image"}
PATHS = [f"{folder}{name}.png" for folder, name in itertools.product(("", "d/"), "abc")]

paths = st.sampled_from(PATHS)
stems = paths.map(lambda path: path.removesuffix(".png"))
labels = st.lists(st.sampled_from(["cat", "dog", "bird"]), max_size=2, unique=True)
texts = st.lists(st.sampled_from(["cat", "dog", "no!"]), max_size=2, unique=True).map("\n".join)

acts = st.one_of(
    st.tuples(st.just("put"), paths, st.sampled_from(sorted(CONTENTS))),
    st.tuples(st.just("remove"), paths),
    st.tuples(st.just("move"), paths, paths),
    st.tuples(st.just("swap"), paths, st.tuples(paths, st.booleans())),
    st.tuples(st.just("copy"), paths, st.tuples(paths, st.booleans())),
    st.tuples(st.just("shift"), paths, st.tuples(paths, st.booleans())),
    st.tuples(st.just("touch"), paths),
    st.tuples(st.just("write"), stems, texts),
    st.tuples(st.just("erase"), stems),
    st.tuples(st.just("label"), paths, labels),
    st.tuples(st.just("delete"), paths),
)
syncs = st.tuples(st.just("sync"), st.booleans(), st.booleans(), st.booleans())
lives = st.lists(st.tuples(st.lists(acts, max_size=6), syncs), min_size=1, max_size=5)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(crash_point=lives)
async def test_every_life_ends_as_the_model_says(database: Database, crash_point: list[Any], small: None) -> None:
    dataset, model = await dataset_fixture.memory(database), Model()
    for left, (deeds, (_, overwrite, remove, restore)) in zip(
        reversed(range(len(crash_point))), crash_point, strict=True
    ):
        for deed in deeds:
            await _do(dataset, model, *deed)
        options = {
            "existing": "OVERWRITE" if overwrite else "KEEP",
            "remove_missing": remove,
            "restore_removed": restore,
        }
        dry_run = None if left else await _dry_run(dataset, options)
        job = await dataset.sync(**options)
        assert dry_run in (None, await _told(dataset, job))
        expected = model.sync(overwrite=overwrite, remove=remove, restore=restore)
        assert Counter({name: job[name] for name in expected}) == expected
        await _agree(dataset, model)


async def _dry_run(dataset: DatasetFixture, options: dict[str, Any]) -> dict[str, Any]:
    """What it says. It changes nothing, and its examples are as many as it counts."""
    before = await dataset.contents()
    job = await dataset.sync(dry_run=True, **options)
    assert await dataset.contents() == before
    examples = await dataset.examples(job["id"])
    for effect in ("ADDED", "UPDATED", "MOVED", "REMOVED"):
        paths, former = examples.get(effect, ([], []))
        assert len(set(paths)) == job[effect.lower()]
        assert len(former) == (len(paths) if effect == "MOVED" else 0)
    return await _told(dataset, job)


async def _told(dataset: DatasetFixture, job: dict[str, Any]) -> dict[str, Any]:
    counts = await dataset.counts(job["id"])
    return counts | {"unchanged": job["unchanged"], "warnings": sorted(await dataset.warnings(job["id"]))}


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages, "BATCH", 2)


async def _do(dataset: DatasetFixture, model: Model, act: str, where: str, what: Any = None) -> None:
    match act:
        case "put":
            model.files[where] = what
            dataset.put(where, CONTENTS[what])
        case "remove" if where in model.files:
            del model.files[where]
            dataset.remove(where)
        case "move" if where in model.files and what not in model.files:
            model.files[what] = model.files.pop(where)
            dataset.move(where, what)
        case "swap" | "copy" | "shift":
            _rearrange(dataset, model, act, where, *what)
        case "touch" if where in model.files:
            dataset.touch(where)
        case "write":
            model.texts[where] = what
            dataset.put(f"{where}.txt", what)
        case "erase" if where in model.texts:
            del model.texts[where]
            dataset.remove(f"{where}.txt")
        case "label" if where in model.samples:
            model.samples[where].labels, model.samples[where].origin = frozenset(what), "MANUAL"
            await dataset.label_by_hand(where, *what)
        case "delete" if where in model.samples:
            model.sources[where].sample = None
            await dataset.delete_by_hand(where)


def _rearrange(dataset: DatasetFixture, model: Model, act: str, one: str, other: str, with_texts: bool) -> None:
    """Several files at once have other paths, with their sidecars or without."""
    ring = dict(zip(PATHS, [*PATHS[1:], PATHS[0]], strict=True))
    origins = {"swap": {one: other, other: one}, "copy": {other: one}, "shift": ring}[act]
    files, texts = dict(model.files), dict(model.texts)
    for path, origin in origins.items():
        _set(dataset, model.files, path, files.get(origin), CONTENTS.get)
        if with_texts:
            here, there = (name.removesuffix(".png") for name in (path, origin))
            _set(dataset, model.texts, here, texts.get(there), str.encode, suffix=".txt")


def _set(
    dataset: DatasetFixture, known: dict[str, str], key: str, value: str | None, data: Any, *, suffix: str = ""
) -> None:
    if value is not None:
        known[key] = value
        dataset.put(key + suffix, data(value))
    elif known.pop(key, None) is not None:
        dataset.remove(key + suffix)


async def _agree(dataset: DatasetFixture, model: Model) -> None:
    real = {path: frozenset(names) for path, names in (await dataset.labels()).items()}
    assert real == {path: sample.labels for path, sample in model.samples.items()}
    for path, sample in model.samples.items():
        await _same(dataset, path, sample)
    sources = await dataset.rows(
        "SELECT path FROM source WHERE dataset_id = $1 AND status <> 'GONE' ORDER BY path", dataset.dataset_id
    )
    present = [path for path, source in sorted(model.sources.items()) if source.status != "GONE"]
    assert [row["path"] for row in sources] == present
    async with dataset.database.reading() as connection:
        wrong = await check.recount(connection, dataset.dataset_id)
    assert [line for line in wrong if "revision" not in line] == []


async def _same(dataset: DatasetFixture, path: str, sample: Sample) -> None:
    row = await dataset.sample(path)
    sample.number = sample.number or row["id"]
    assert (row["id"], row["labeled_origin"]) == (sample.number, sample.origin)
