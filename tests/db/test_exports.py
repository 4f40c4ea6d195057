"""Exports, by a worker's own steps: against Postgres, in directories and in S3."""

import csv
import io
import json
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pyarrow.parquet
import pytest

from db import jobs
from db.errors import Conflict, Invalid, NotFound
from db.exports import files, requests, selection
from db.exports import job as exports
from db.formats.datasets import FORMATS
from db.formats.datasets.format import USAGE_IN_NO_SPLIT
from db.history import versions
from db.history.transactions import write
from db.identity.tokens import Identity, Scope
from db.identity.urls import Signer
from db.labelling import labels
from db.postgres.engine import Database
from db.queries.filters import IntFilter, LabelFilter, SampleFilter, TimeFilter
from db.queries.paths import PathFilter
from tests.conftest import ROOT
from tests.db.dataset_fixture import image_bytes
from tests.db.dataset_rows import ANN
from tests.db.export_fixture import SECRET, ExportHouse, local_house, s3_house, unpacked
from tests.db.test_imports_back import lived_in

DIGITS = ROOT / "examples" / "digits"


@pytest.fixture
def local(database: Database, tmp_path: Path) -> ExportHouse:
    return local_house(database, tmp_path)


@pytest.fixture(params=["local", "s3"])
async def anywhere(request: pytest.FixtureRequest, database: Database, tmp_path: Path) -> AsyncIterator[ExportHouse]:
    if request.param == "local":
        yield local_house(database, tmp_path)
        return
    async with s3_house(database, request.getfixturevalue("s3_endpoint"), tmp_path) as house:
        yield house


def lines(content: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in content.splitlines()]


def name_of(files_: dict[str, bytes], suffix: str) -> str:
    [name] = [name for name in files_ if name.endswith(suffix)]
    return name


async def small(house: ExportHouse, *paths: str) -> int:
    """A classification of small images, without labels."""
    store = house.stores.open(f"{house.root}a/")
    for path in paths:
        await store.write(path, image_bytes(form="JPEG" if path.endswith(".jpg") else "PNG"))
    dataset = await house.dataset("IMAGE_CLASSIFICATION", "a")
    assert (await house.sync(dataset))["added"] == len(paths)
    return dataset


# -- what is in it


@pytest.mark.parametrize("example", ["digits", "cells"])
async def test_json_lines_are_what_the_working_set_is(anywhere: ExportHouse, example: str) -> None:
    dataset = await lived_in(anywhere, example)
    content = await anywhere.content(dataset)
    exported = await anywhere.export(dataset, "JSON_LINES")
    found = lines(exported[name_of(exported, ".jsonl")])
    samples = [
        (each["path"], each["size"], each["format"], each["width"], each["height"], each["state"], each["isHard"])
        for each in found
    ]
    assert samples == [(*row[:5], *row[6:8]) for row in content["samples"]]
    marks = Counter(
        (each["path"], mark["label"], mark["labeledBy"], mark.get("confidence"), mark["isConfirmed"])
        for each in found
        for mark in each["annotations"]
    )
    assert marks == Counter((row[0], row[1], row[2], row[4], row[5]) for row in content["annotations"])
    shapes = sorted(
        json.dumps(mark["shape"], sort_keys=True) for each in found for mark in each["annotations"] if "shape" in mark
    )
    assert shapes == sorted(json.dumps(json.loads(row[6]), sort_keys=True) for row in content["annotations"] if row[6])


async def test_images_are_in_the_archive_as_they_are_in_storage(anywhere: ExportHouse) -> None:
    dataset = await lived_in(anywhere, "digits")
    exported = await anywhere.export(dataset, "CSV", images="INCLUDED")
    rows = list(csv.DictReader(io.StringIO(exported[name_of(exported, ".csv")].decode(), newline="")))
    assert len(exported) == len({row["path"] for row in rows}) + 1
    assert all(exported[row["file"]] == (DIGITS / row["path"]).read_bytes() for row in rows)


async def test_the_job_says_what_it_contains(local: ExportHouse) -> None:
    dataset = await lived_in(local, "cells")
    job = await local.request(dataset, "COCO", images="INCLUDED")
    await local.work(job)
    [summary] = await local.rows("SELECT * FROM export WHERE job_id = $1", job)
    [row] = await local.rows("SELECT * FROM job WHERE id = $1", job)
    [counts] = await local.rows("SELECT count(*) AS images, revision FROM sample, dataset GROUP BY revision")
    [only] = await local.rows("SELECT count(*) AS n FROM sample WHERE usage = 'TEST'")
    exported = await local.files(job)
    assert row["status"] == "SUCCEEDED"
    assert row["scanned"] == summary["image_count"] == only["n"]
    assert summary["image_count"] + summary["left_out_count"] == counts["images"]
    assert (summary["revision"], summary["missing_count"]) == (counts["revision"], 0)
    assert summary["total_size"] == sum(map(len, exported.values()))
    warnings = await local.warnings(job)
    assert warnings[exports.NO_SPLIT.message][1] == counts["images"] - only["n"]
    assert await local.rows("SELECT FROM export_sample") == []
    job = await local.request(dataset, "CVAT")  # where nothing is left out
    await local.work(job)
    assert (await local.warnings(job))[USAGE_IN_NO_SPLIT.message][1] == counts["images"] - only["n"]


async def test_links_are_signed_for_whoever_asked(local: ExportHouse) -> None:
    dataset = await small(local, "a.png", "b.jpg")
    exported = await local.export(dataset, "JSON_LINES", images="LINKS", base="https://host")
    signer, found = Signer(SECRET, 1), lines(exported[name_of(exported, ".jsonl")])
    assert [urlsplit(each["imageUrl"]).path.rpartition(".")[2] for each in found] == ["png", "jpg"]
    for each in found:
        url = urlsplit(each["imageUrl"])
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        assert (url.scheme, url.netloc, query["i"]) == ("https", "host", str(ANN.token_id))
        assert signer.is_valid(url.path, ANN.token_id, int(query["e"]), query["s"], int(query["e"]) - 1)


async def test_links_lead_to_the_files_themselves_and_archives_have_them(local: ExportHouse) -> None:
    """Browsers get a rendition of a TIFF; programs that read an export get the file."""
    dataset = await local.dataset("IMAGE_CLASSIFICATION", "a")
    await local.do("UPDATE dataset SET image_formats = '{TIFF,WEBP}'")
    data = {"a.tiff": image_bytes(form="TIFF"), "b.webp": image_bytes(form="WEBP")}
    for path, content in data.items():
        await local.stores.open(f"{local.root}a/").write(path, content)
    assert (await local.sync(dataset))["added"] == 2
    linked = await local.export(dataset, "JSON_LINES", images="LINKS", base="https://host")
    paths = [urlsplit(each["imageUrl"]).path for each in lines(linked[name_of(linked, ".jsonl")])]
    assert [path.rstrip("0123456789.tifwebp") for path in paths] == ["/originals/", "/images/"]
    assert [path.rpartition(".")[2] for path in paths] == ["tif", "webp"]
    exported = await local.export(dataset, "CSV", images="INCLUDED")
    rows = list(csv.DictReader(io.StringIO(exported[name_of(exported, ".csv")].decode(), newline="")))
    assert {row["path"]: exported[row["file"]] for row in rows} == data
    assert all(row["file"].endswith((".tiff", ".webp")) for row in rows)


# -- which samples


async def test_labelling_meanwhile_changes_nothing_in_it(local: ExportHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is labelled, renamed, deleted and added after the beginning is in the next export."""
    dataset = await small(local, "a.png", "b.png", "c.png", "d.png")
    await local.label(dataset, "cat", "a.png", "b.png")
    job = await local.request(dataset, "JSON_LINES")
    claim = await local.claimed(job)
    begun = selection.begin

    async def begin(*arguments: Any) -> None:
        await begun(*arguments)
        await local.label(dataset, "dog", "b.png", "c.png")
        [cat] = await local.rows("SELECT id FROM label WHERE name = 'cat'")
        await write(
            local.database, lambda session: labels.rename(session, cat["id"], to="tiger", by=ANN), labels.Renamed
        )
        await local.do("UPDATE dataset SET revision = revision + 1 WHERE id = $1", dataset)
        await local.do("DELETE FROM sample WHERE path = 'd.png'")

    monkeypatch.setattr(selection, "begin", begin)
    await exports.run(local.database, claim, local.stores, SECRET, local.folder)
    found = lines(next(iter((await local.files(job)).values())))
    said = {each["path"]: [mark["label"] for mark in each["annotations"]] for each in found}
    assert said == {"a.png": ["cat"], "b.png": ["cat"], "c.png": [], "d.png": []}


async def test_a_version_is_exported_as_it_was_published(local: ExportHouse) -> None:
    dataset = await small(local, "a.png", "b.png", "c.png")
    await local.label(dataset, "cat", "a.png", "b.png")
    version = await local.version(dataset)
    before = await local.export(dataset, "JSON_LINES", version_id=version)
    await local.label(dataset, "dog", "b.png", "c.png")
    assert await local.export(dataset, "JSON_LINES", version_id=version) == before
    found = lines(next(iter(before.values())))
    assert [each["usage"] for each in found] == ["TRAIN", "TRAIN", None]
    [row] = await local.rows("SELECT DISTINCT revision FROM export")
    [published] = await local.rows("SELECT revision FROM version WHERE id = $1", version)
    assert row == published


@pytest.mark.parametrize(
    ("filter_", "expected"),
    [
        (SampleFilter(labels=LabelFilter(["cat"])), ["a/x.png", "b.png"]),
        (SampleFilter(path=PathFilter(directory="a", recursive=True)), ["a/x.png", "a/y.png"]),
        (SampleFilter(state="UNLABELED"), ["a/y.png", "c.png"]),
        (SampleFilter(not_=SampleFilter(labels=LabelFilter(["cat"])), width=IntFilter(min=1)), ["a/y.png", "c.png"]),
        (SampleFilter(or_=[]), []),
        (SampleFilter(ids=["Sample:0"]), []),
    ],
)
@pytest.mark.parametrize("of_version", [False, True])
async def test_a_filter_selects_as_in_a_list(
    local: ExportHouse, filter_: SampleFilter, expected: list[str], of_version: bool
) -> None:
    dataset = await small(local, "a/x.png", "a/y.png", "b.png", "c.png")
    await local.label(dataset, "cat", "a/x.png", "b.png")
    version = await local.version(dataset) if of_version else None
    if of_version:
        await local.label(dataset, "dog", "a/x.png", "c.png")
    exported = await local.export(dataset, "JSON_LINES", filter=filter_, version_id=version)
    assert [each["path"] for each in lines(next(iter(exported.values())))] == expected


async def test_an_export_of_nothing_is_a_file_with_nothing_in_it(local: ExportHouse) -> None:
    dataset = await small(local, "a.png")
    nothing = SampleFilter(state="LABELED")
    assert list((await local.export(dataset, "JSON_LINES", filter=nothing)).values()) == [b""]
    exported = await local.export(dataset, "COCO", filter=nothing, images="INCLUDED")
    assert json.loads(exported["annotations/labels_default.json"])["images"] == []


# -- names in archives


async def test_no_two_images_share_a_name(local: ExportHouse) -> None:
    paths = ["A.png", "a.jpg", "b/c.png", "b/d~7.png", "e.png", "E2/e.png", "x.png"]
    dataset = await small(local, *paths)
    exported = await local.export(dataset, "JSON_LINES", images="INCLUDED", packing="TAR")
    found = lines(exported[name_of(exported, ".jsonl")])
    names = {each["path"]: each["file"].removeprefix("images/") for each in found}
    assert names == {
        "A.png": "A~1.png",
        "E2/e.png": "E2/e.png",
        "a.jpg": "a~3.jpg",
        "b/c.png": "b/c.png",
        "b/d~7.png": "b/d~7~5.png",
        "e.png": "e.png",
        "x.png": "x.png",
    }
    assert len({name.lower() for name in names.values()}) == len(paths)
    assert all(exported[each["file"]] == (Path(local.root) / "a" / each["path"]).read_bytes() for each in found)


# -- files


async def test_equal_exports_are_equal_files(local: ExportHouse) -> None:
    dataset = await lived_in(local, "digits")
    both = []
    for _ in range(2):
        job = await local.request(dataset, "COCO", images="INCLUDED", has_splits=False)
        await local.work(job)
        both.append(await local.files(job))
    assert both[0] == both[1]


async def test_a_large_export_is_in_several_files(local: ExportHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "MIN_FILE", 1)
    dataset = await lived_in(local, "digits")
    whole = await local.export(dataset, "CSV", images="INCLUDED")
    limit = 100_000
    job = await local.request(dataset, "CSV", images="INCLUDED", max_file_bytes=limit)
    await local.work(job)
    parts = await local.files(job)
    assert unpacked(parts) == whole
    assert len(parts) > 3
    assert all(len(data) <= limit for data in parts.values())
    [name] = await local.rows("SELECT name FROM dataset WHERE id = $1", dataset)
    assert list(parts)[:3] == [f"{name['name']}.zip", f"{name['name']}-2.zip", f"{name['name']}-3.zip"]


@pytest.mark.parametrize("format_", ["WEBDATASET", "PARQUET"])
async def test_shards_end_when_they_are_large_enough(
    local: ExportHouse, monkeypatch: pytest.MonkeyPatch, format_: str
) -> None:
    monkeypatch.setattr(requests, "MIN_FILE", 1)
    dataset, limit, footer = await lived_in(local, "digits"), 100_000, 20_000
    job = await local.request(dataset, format_, has_splits=False, max_file_bytes=limit)
    await local.work(job)
    shards = {name: data for name, data in (await local.files(job)).items() if not name.endswith(".md")}
    assert len(shards) > 3
    assert all(len(data) <= limit + footer for data in shards.values())
    start = "train-0000" if format_ == "PARQUET" else "-00000"
    assert [f"{start}{number}" in name for number, name in enumerate(list(shards)[:3])] == [True] * 3


async def test_parquet_ends_where_its_parts_are_many(local: ExportHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FORMATS["PARQUET"], "max_shard_images", 3)
    dataset = await small(local, *(f"{number}.png" for number in range(7)))
    job = await local.request(dataset, "PARQUET", images="INCLUDED", has_splits=False)
    await local.work(job)
    shards = [data for name, data in (await local.files(job)).items() if name.endswith(".parquet")]
    assert [pyarrow.parquet.read_metadata(io.BytesIO(data)).num_rows for data in shards] == [3, 3, 1]


async def test_single_files_lie_in_the_output_path(anywhere: ExportHouse) -> None:
    dataset = await lived_in(anywhere, "cells")
    packed = await anywhere.export(dataset, "COCO", images="INCLUDED")
    job = await anywhere.request(dataset, "COCO", images="INCLUDED", packing="FILES")
    await anywhere.work(job)
    [export] = await anywhere.rows("SELECT location, is_temporary, expires_at FROM export WHERE job_id = $1", job)
    assert await anywhere.objects(export["location"]) == packed
    assert list(await anywhere.files(job)) == [name for name in packed if name.endswith(".json")]
    assert (export["is_temporary"], export["expires_at"]) == (False, None)
    [row] = await anywhere.rows("SELECT name FROM dataset WHERE id = $1", dataset)
    assert export["location"].endswith(f"out/{row['name']}-{dataset}/exports/{job}")


async def test_without_an_output_path_the_server_keeps_them_for_a_while(anywhere: ExportHouse) -> None:
    dataset = await small(anywhere, "a.png", "b.png")
    await anywhere.do("UPDATE dataset SET output_path = NULL")
    job = await anywhere.request(dataset, "CSV", images="INCLUDED")
    await anywhere.work(job)
    assert len(await anywhere.files(job)) == 1
    [export] = await anywhere.rows("SELECT *, expires_at - now() > interval '6 days' AS later FROM export")
    assert (export["is_temporary"], export["later"]) == (True, True)
    kept = await anywhere.objects(export["location"])
    assert len(kept) == 1
    assert (await anywhere.sync(dataset))["added"] == 0, "no image for a sync"
    await anywhere.do("UPDATE export SET sweep_at = now()")
    await files.sweep(anywhere.database, anywhere.stores.open)
    assert await anywhere.objects(export["location"]) == kept, "its time is not over"
    [row] = await anywhere.rows("SELECT id FROM export_file")
    assert await files.find_file(anywhere.database, row["id"]) is not None
    await anywhere.do("UPDATE export SET sweep_at = now(), expires_at = now()")
    assert await files.find_file(anywhere.database, row["id"]) is None
    await files.sweep(anywhere.database, anywhere.stores.open)
    assert await anywhere.objects(export["location"]) == {}
    assert await anywhere.rows("SELECT FROM export_file") == []
    assert await anywhere.rows("SELECT FROM export WHERE sweep_at IS NOT NULL") == []


async def test_what_a_canceled_export_has_written_is_removed(anywhere: ExportHouse) -> None:
    dataset = await small(anywhere, "a.png", "b.png")
    job = await anywhere.request(dataset, "COCO", images="INCLUDED", packing="FILES")
    claim = await anywhere.claimed(job)
    await exports.run(anywhere.database, claim, anywhere.stores, SECRET, anywhere.folder)
    await jobs.finish(anywhere.database, claim, "CANCELED")
    [export] = await anywhere.rows("SELECT location FROM export")
    assert await anywhere.objects(export["location"])
    await anywhere.do("UPDATE export SET sweep_at = now()")
    await files.sweep(anywhere.database, anywhere.stores.open)
    assert await anywhere.objects(export["location"]), "its worker may not have stopped yet"
    await anywhere.do("UPDATE job SET finished_at = now() - interval '2 min'")
    await anywhere.do("UPDATE export SET sweep_at = now()")
    await files.sweep(anywhere.database, anywhere.stores.open)
    assert await anywhere.objects(export["location"]) == {}


# -- images that are gone


async def test_missing_and_replaced_images_are_left_out_everywhere(local: ExportHouse) -> None:
    dataset = await small(local, "a.png", "b.png", "c.png", "d.png")
    await local.label(dataset, "cat", "a.png", "b.png", "c.png")
    (Path(local.root) / "a" / "b.png").unlink()
    (Path(local.root) / "a" / "c.png").write_bytes(image_bytes())
    job = await local.request(dataset, "COCO", images="INCLUDED")
    await local.work(job)
    exported = unpacked(await local.files(job))
    whole = json.loads(exported["annotations/labels_default.json"])
    assert [each["file_name"] for each in whole["images"]] == ["a.png", "d.png"]
    assert sorted(exported) == [
        *("annotations/labels_default.json", "images/default/a.png", "images/default/d.png"),
    ]
    [summary] = await local.rows("SELECT image_count, missing_count FROM export")
    assert tuple(summary) == (2, 2)
    assert await local.warnings(job) == {
        "The file no longer exists; the image is left out.": ("b.png", 1),
        "The file was replaced since it was last synced; the image is left out.": ("c.png", 1),
    }


async def test_an_export_without_an_image_has_a_warning(local: ExportHouse) -> None:
    job = await local.request(await local.dataset("IMAGE_CLASSIFICATION", "a"), "CSV")
    await local.work(job)
    assert await local.warnings(job) == {exports.NOTHING.message: ("", 1)}


# -- refusals


async def test_what_does_not_fit_is_refused_and_nothing_is_started(local: ExportHouse) -> None:
    dataset = await small(local, "a.png")
    other = await local.dataset("IMAGE_CLASSIFICATION", "b")
    version = await local.version(dataset)
    stranger = Identity("eve", Scope.READ, token_id=9, dataset_ids=frozenset({other}))
    late, early = (datetime(2026, 1, day, tzinfo=UTC) for day in (2, 1))
    backwards = SampleFilter(created_at=TimeFilter(from_=late, to=early))
    refusals: list[tuple[type[Exception], str, int, dict[str, Any]]] = [
        (NotFound, "There is no such dataset", dataset, {"by": stranger}),
        (NotFound, "There is no such dataset", 10**9, {}),
        (NotFound, "There is no such version", other, {"version_id": version}),
        (NotFound, "There is no such version", dataset, {"version_id": 10**9}),
        (Invalid, "CSV has no option `hasSplits`", dataset, {"has_splits": True}),
        (Invalid, "`maxFileBytes` must be 1,048,576 to .* is 1\\.", dataset, {"max_file_bytes": 1}),
        (Invalid, "`maxFileBytes` must be 1,048,576 to", dataset, {"max_file_bytes": 10**18}),
        (Invalid, "createdAt", dataset, {"filter": backwards}),
    ]
    for error, message, id, more in refusals:
        with pytest.raises(error, match=message):
            await local.request(id, "CSV", **more)
    await local.do("UPDATE dataset SET output_path = NULL")
    with pytest.raises(Invalid, match="need a dataset with an output path"):
        await local.request(dataset, "CSV", images="INCLUDED", packing="FILES")
    assert await local.rows("SELECT FROM job WHERE kind = 'EXPORT'") == []
    for _ in range(requests.MAX_ACTIVE):
        await local.request(dataset, "CSV")
    with pytest.raises(Conflict, match="5 exports of the dataset queued or running") as refused:
        await local.request(dataset, "CSV")
    assert refused.value.code == "DATASET_BUSY"


async def test_a_version_that_is_deleted_before_the_export_begins_is_no_working_set(local: ExportHouse) -> None:
    dataset = await small(local, "a.png")
    version = await local.version(dataset)
    job = await local.request(dataset, "CSV", version_id=version)
    await write(local.database, lambda session: versions.remove(session, version, by=ANN), versions.Removed)
    claim = await local.claimed(job)
    with pytest.raises(NotFound, match="The version was deleted"):
        await exports.run(local.database, claim, local.stores, SECRET, local.folder)
