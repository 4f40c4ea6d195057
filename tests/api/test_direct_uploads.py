"""Files that a script puts into storage itself: what the answers say, and which files become samples."""

import asyncio
import json
import struct
import sys
import zlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest

from db.datasets import check
from db.postgres.engine import Database
from db.storage import LocalStore
from db.storage.s3 import S3Store
from tests.api.staged_uploads import COMPLETE, REQUEST, StagedUploads, all_of, open_staged_uploads, upload_input
from tests.api.uploads.upload_client import CREATE, UPLOAD, good_and_bad_files
from tests.client import Client, Failed, serving, token
from tests.db.dataset_fixture import image_bytes
from tests.snippets import snippets
from tests.waiting import TIMEOUT

ONCE = pytest.mark.parametrize("script", ["local"], indirect=True)  # wherever the bytes would go
EVERYWHERE = pytest.mark.parametrize("script", ["local", "s3", "s3 through us"], indirect=True)
S3_ITSELF = pytest.mark.parametrize("script", ["s3"], indirect=True)


@pytest.fixture(params=["local", "s3"])
async def script(
    request: pytest.FixtureRequest, database_url: str, database: Database, tmp_path: Path
) -> AsyncIterator[StagedUploads]:
    async with open_staged_uploads(request.param, request, database, database_url, tmp_path) as script:
        yield script
        async with database.reading() as connection:
            assert await check.recount(connection, script.number) == []


@EVERYWHERE
async def test_what_was_put_and_completed_is_a_sample(script: StagedUploads) -> None:
    data = image_bytes(form="JPEG", size=(30, 20))
    [upload] = await script.request(upload_input("my cat (1)+é.JPG", data))
    assert (upload["path"], upload["sample"], upload["error"]) == ("my cat (1)+é.JPG", None, None)
    assert (upload["url"].startswith(script.client.url), script.kind) in (
        (False, "s3"),
        (True, "local"),
        (True, "s3 through us"),
    )
    assert (await script.put(upload, data)).status_code == 200
    assert (await script.listed(), await script.paths()) == ([], [])
    reported = await script.complete("my cat (1)+é.JPG")
    [result] = reported["results"]
    sample = result["sample"]
    assert (result["fileName"], result["error"]) == ("my cat (1)+é.JPG", None)
    assert (sample["path"], sample["size"], sample["format"]) == ("my cat (1)+é.JPG", len(data), "JPEG")
    assert (sample["width"], sample["height"], sample["state"], sample["labels"]) == (30, 20, "UNLABELED", [])
    assert reported["dataset"]["statistics"] == {"totalCount": 1, "labeledCount": 0, "unlabeledCount": 1}
    assert await script.everything() == ["my cat (1)+é.JPG"]
    async with httpx2.AsyncClient(follow_redirects=True, timeout=TIMEOUT) as browser:
        assert (await browser.get(sample["imageUrl"])).content == data


async def test_many_are_one_change_and_carry_their_labels(script: StagedUploads) -> None:
    data = image_bytes()
    files = [upload_input(f"{n}.png", data, labels=["dog"] if n % 2 else []) for n in range(6)]
    requested = await script.request(*files, labels=["cat"])
    await all_of(script.put(upload, data) for upload in requested)
    reported = await script.complete(*(file["key"] for file in files))
    assert [result["sample"]["path"] for result in reported["results"]] == [file["key"] for file in files]
    assert [len(result["sample"]["labels"]) for result in reported["results"]] == [1, 2] * 3
    assert {"name": "dog", "sampleCount": 3, "annotationCount": 3} in reported["dataset"]["labels"]
    assert reported["change"]["kind"] == "UPLOAD_SAMPLES"
    assert reported["change"]["summary"] == "Uploaded 6 images"
    assert {result["sample"]["revision"] for result in reported["results"]} == {reported["dataset"]["revision"]} == {2}


@ONCE
async def test_whatever_is_asked_again_is_answered_again(script: StagedUploads) -> None:
    data = image_bytes()
    [first] = await script.request(upload_input("cat.png", data))
    [second] = await script.request(upload_input("cat.png", data))
    assert (second["path"], second["error"]) == (first["path"], None)
    assert (await script.put(first, data)).status_code == 200
    assert (await script.put(second, data)).status_code == 200
    done = await script.complete("cat.png")
    again = await script.complete("cat.png", "cat.png")
    assert again["results"] == done["results"]
    assert (again["change"], again["dataset"]["revision"]) == (None, done["dataset"]["revision"])
    [upload] = await script.request(upload_input("cat.png", data))
    assert upload["sample"]["id"] == done["results"][0]["sample"]["id"]
    assert (upload["url"], upload["headers"], upload["expiresAt"]) == (None, [], None)


async def test_completed_by_many_at_once_it_is_one_sample(script: StagedUploads) -> None:
    files = {f"{n}.png": image_bytes() for n in range(4)}
    keys = await script.sent(files, labels=["cat"])
    reported = await all_of(script.complete(*keys) for _ in range(5))
    assert [result["error"] for each in reported for result in each["results"]] == [None] * 20
    assert len({tuple(result["sample"]["id"] for result in each["results"]) for each in reported}) == 1
    assert await script.paths() == sorted(files)
    assert sum(each["change"] is not None for each in reported) == 1


def bomb() -> bytes:
    """A PNG that says it has 900 million pixels."""
    chunks = ((b"IHDR", struct.pack(">IIBBBBB", 30_000, 30_000, 1, 0, 0, 0, 0)), (b"IDAT", zlib.compress(b"\0" * 9)))
    parts = [
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in (*chunks, (b"IEND", b""))
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@EVERYWHERE
async def test_each_file_is_judged_before_it_becomes_a_sample(script: StagedUploads) -> None:
    files = good_and_bad_files() | {
        "bomb.png": (bomb(), "IMAGE_UNREADABLE"),
        "stowaway.jpg": (image_bytes(form="JPEG") + b"PK\x03\x04 and more", "IMAGE_UNREADABLE"),
    }
    keys = await script.sent({name: data for name, (data, _) in files.items()})
    codes = [code for _, code in files.values()]
    assert await script.codes(*keys) == codes
    assert (await script.listed(), await script.staged()) == (["ok.bmp", "phone.jpg"], 0)
    assert await script.codes(*keys) == codes
    assert await script.paths() == ["ok.bmp", "phone.jpg"]


@ONCE
async def test_after_a_refusal_the_key_takes_another_file(script: StagedUploads) -> None:
    [key] = await script.sent({"a.png": b"no image at all"})
    assert await script.codes(key) == ["UNSUPPORTED_FORMAT"]
    data = image_bytes()
    [upload] = await script.request({"key": "a.png", "fileName": "b.png", "size": len(data)})
    assert (await script.put(upload, data)).status_code == 200
    assert await script.codes(key) == [None]
    assert await script.listed() == ["b.png"]


async def test_a_deleted_sample_may_be_uploaded_again_under_its_key(script: StagedUploads) -> None:
    data = image_bytes()
    await script.sent({"a.png": data})
    [result] = (await script.complete("a.png"))["results"]
    delete = "mutation ($input: DeleteSamplesInput!) { deleteSamples(input: $input) { deletedSampleCount } }"
    await script.answer(delete, select={"ids": [result["sample"]["id"]]}, deleteSources=True)
    assert await script.codes("a.png") == ["SAMPLE_NOT_FOUND"]
    await script.sent({"a.png": data})
    [again] = (await script.complete("a.png"))["results"]
    assert again["sample"]["id"] != result["sample"]["id"]


@ONCE
async def test_what_was_not_put_yet_can_be_completed_later(script: StagedUploads) -> None:
    data = image_bytes()
    [upload] = await script.request(upload_input("a.png", data))
    assert await script.codes("a.png", "b.png") == ["NOT_FOUND", "NOT_FOUND"]
    await script.put(upload, data)
    assert await script.codes("a.png", "b.png") == [None, "NOT_FOUND"]


async def test_a_name_is_kept_for_whoever_asked_first(script: StagedUploads) -> None:
    one, two = image_bytes(), image_bytes()
    await script.sent({"cat.png": one})
    await script.complete("cat.png")
    again = upload_input("cat.png", two, key="another")
    assert await script.refused(again, upload_input("dog.png", two)) == ["SAMPLE_ALREADY_EXISTS", None]
    assert await script.refused(upload_input("dog.png", two, key="third")) == ["SAMPLE_ALREADY_EXISTS"]
    doubled = [upload_input("dog.png", two, key=f"k{n}") for n in range(12)]
    requested = await script.request(again, *doubled, onConflict="RENAME")
    assert [upload["path"] for upload in requested] == ["cat-1.png", *(f"dog-{n}.png" for n in range(1, 13))]
    assert (await script.request(again))[0]["path"] == "cat-1.png"
    await script.put(requested[0], two)
    assert await script.codes("another") == [None]
    assert [await script.store.read(path) for path in ("cat.png", "cat-1.png")] == [one, two]


@ONCE
async def test_a_thousand_files_of_one_name_get_a_thousand_names(script: StagedUploads) -> None:
    data = image_bytes()
    files = [upload_input("cat.png", data, key=f"k{n}") for n in range(1_000)]
    requested = await script.request(*files, onConflict="RENAME")
    assert [upload["path"] for upload in requested] == ["cat.png", *(f"cat-{n}.png" for n in range(1, 1_000))]
    more = [upload_input("cat.png", data, key=f"more{n}") for n in range(3)]
    assert await script.refused(*more, onConflict="RENAME") == [None, "SAMPLE_ALREADY_EXISTS", "SAMPLE_ALREADY_EXISTS"]


@ONCE
async def test_an_upload_by_form_leaves_a_kept_name_alone(script: StagedUploads) -> None:
    data = image_bytes()
    await script.request(upload_input("cat.png", data))
    values = {"datasetId": script.dataset, "files": [None]}
    fields = {
        "operations": json.dumps({"query": UPLOAD, "variables": {"input": values}}),
        "map": json.dumps({"0": ["variables.input.files.0"]}),
    }
    headers = {"graphql-require-preflight": "true"}
    response = await script.client.request(data=fields, files=[("0", ("cat.png", image_bytes()))], headers=headers)
    [result] = response.json()["data"]["uploadSamples"]["results"]
    assert result["error"]["code"] == "SAMPLE_ALREADY_EXISTS"
    assert await script.listed() == []


@ONCE
async def test_two_who_ask_at_once_get_two_names(script: StagedUploads) -> None:
    data = image_bytes()
    works = (script.request(upload_input("cat.png", data, key=f"k{n}"), onConflict="RENAME") for n in range(5))
    paths = sorted(upload["path"] for [upload] in await all_of(works))
    assert paths == ["cat-1.png", "cat-2.png", "cat-3.png", "cat-4.png", "cat.png"]


@ONCE
async def test_two_who_ask_at_once_under_one_key_get_one_place(script: StagedUploads) -> None:
    files = [upload_input(f"{n}.png", image_bytes()) for n in range(5)]
    reported = await all_of(script.request(*files[:: 1 if n % 2 else -1]) for n in range(6))
    assert {tuple(sorted(upload["path"] for upload in requested)) for requested in reported} == {
        tuple(f["key"] for f in files)
    }
    rows = await script.database.value("SELECT count(*) FROM upload")
    assert rows == 5


async def test_a_file_that_lies_there_unknown_is_not_written_over(script: StagedUploads) -> None:
    await script.store.write("cat.png", b"a stranger's")
    await script.sent({"cat.png": image_bytes()})
    assert await script.codes("cat.png") == ["SAMPLE_ALREADY_EXISTS"]
    data = image_bytes()
    await script.sent({"cat.png": data}, onConflict="RENAME")
    [result] = (await script.complete("cat.png"))["results"]
    assert result["sample"]["path"] == "cat-1.png"
    assert [await script.store.read(path) for path in ("cat.png", "cat-1.png")] == [b"a stranger's", data]
    assert await script.staged() == 0


async def test_a_sync_takes_nothing_that_is_not_completed(script: StagedUploads) -> None:
    await script.sent({"a.png": image_bytes(), "b.png": image_bytes()})
    assert await script.sync() == (0, 0, 0, 0, 0)
    assert await script.codes("a.png") == [None]
    assert await script.sync() == (0, 0, 0, 0, 0)
    assert await script.codes("b.png") == [None]
    assert await script.paths() == ["a.png", "b.png"]


@ONCE
async def test_an_unknown_label_refuses_the_call(script: StagedUploads) -> None:
    data = image_bytes()
    answer = await script.answer(REQUEST, files=[upload_input("a.png", data, labels=["bird"])])
    assert answer["errors"][0]["extensions"]["code"] == "LABEL_NOT_FOUND"
    assert await script.database.value("SELECT count(*) FROM upload") == 0
    answer = await script.answer(REQUEST, files=[upload_input("a.png", data, labels=["b/d"])], createMissing=True)
    assert answer["errors"][0]["extensions"]["code"] == "INVALID_NAME"
    [upload] = await script.request(upload_input("a.png", data, labels=["bird"]), createMissing=True)
    await script.put(upload, data)
    reported = await script.complete("a.png")
    assert [label["name"] for label in reported["results"][0]["sample"]["labels"]] == ["bird"]


@ONCE
async def test_a_file_has_few_labels_for_a_call_has_many_files(script: StagedUploads) -> None:
    """Those for all count for each file: a body of 1 MiB would otherwise be a thousand times as long."""
    file = upload_input("a.png", image_bytes(), labels=["dog"])
    answer = await script.answer(REQUEST, files=[file], labels=["cat"] * 100)
    assert answer["errors"][0]["extensions"]["code"] == "VALIDATION_FAILED"
    assert await script.refused(file, labels=["cat"] * 99) == [None]


@ONCE
async def test_a_label_that_went_meanwhile_is_reported_and_can_be_replaced(script: StagedUploads) -> None:
    data = image_bytes()
    await script.sent({"a.png": data}, labels=["cat"])
    rename = "mutation ($input: RenameLabelInput!) { renameLabel(input: $input) { dataset { id } } }"
    cat = (await label_ids(script))["cat"]
    await script.client.execute(rename, {"input": {"labelId": cat, "name": "tiger"}})
    assert await script.codes("a.png") == ["LABEL_NOT_FOUND"]
    await script.request(upload_input("a.png", data), labels=["tiger"])
    reported = await script.complete("a.png")
    assert [label["name"] for label in reported["results"][0]["sample"]["labels"]] == ["tiger"]


async def label_ids(script: StagedUploads) -> dict[str, str]:
    query = "query ($id: ID!) { node(id: $id) { ... on Dataset { labels { id name } } } }"
    found = (await script.client.execute(query, {"id": script.dataset}))["node"]["labels"]
    return {label["name"]: label["id"] for label in found}


@ONCE
async def test_a_label_by_its_id_is_the_same_after_a_rename(script: StagedUploads) -> None:
    data, known = image_bytes(), await label_ids(script)
    files = [upload_input("a.png", data, labels=["dog"], labelIds=[known["dog"]]), upload_input("b.png", data)]
    requested = await script.request(*files, labelIds=[known["cat"]], createMissing=True)
    await all_of(script.put(upload, data) for upload in requested)
    rename = "mutation ($input: RenameLabelInput!) { renameLabel(input: $input) { dataset { id } } }"
    await script.client.execute(rename, {"input": {"labelId": known["cat"], "name": "tiger"}})
    results = (await script.complete("a.png", "b.png"))["results"]
    found = [sorted(label["name"] for label in result["sample"]["labels"]) for result in results]
    assert found == [["dog", "tiger"], ["tiger"]]
    assert (await label_ids(script)).keys() == {"tiger", "dog"}


@ONCE
async def test_a_label_by_its_id_that_was_deleted_is_reported_and_can_be_restored(script: StagedUploads) -> None:
    cat = (await label_ids(script))["cat"]
    await script.sent({"a.png": image_bytes()}, labelIds=[cat], createMissing=True)
    delete = "mutation ($input: DeleteLabelsInput!) { deleteLabels(input: $input) { change { id } } }"
    deleted = await script.client.execute(delete, {"input": {"labelIds": [cat], "mode": "LABEL_ONLY"}})
    assert await script.codes("a.png") == ["LABEL_NOT_FOUND"]
    undo = "mutation ($input: UndoChangeInput!) { undoChange(input: $input) { change { id } } }"
    await script.client.execute(undo, {"input": {"changeId": deleted["deleteLabels"]["change"]["id"]}})
    [result] = (await script.complete("a.png"))["results"]
    assert [label["name"] for label in result["sample"]["labels"]] == ["cat"]
    assert (await label_ids(script))["cat"] == cat


@ONCE
async def test_an_id_of_no_label_refuses_the_call(script: StagedUploads) -> None:
    cat, file = (await label_ids(script))["cat"], upload_input("a.png", image_bytes())
    for files, ids in (([file], ["Label:99"]), ([file | {"labelIds": [cat, "Sample:1"]}], [])):
        [error] = (await script.answer(REQUEST, files=files, labelIds=ids, createMissing=True))["errors"]
        assert error["extensions"]["code"] == "LABEL_NOT_FOUND"
    answer = await script.answer(REQUEST, files=[file | {"labels": ["dog"]}], labelIds=[cat] * 100)
    assert answer["errors"][0]["extensions"]["code"] == "VALIDATION_FAILED"
    assert await script.database.value("SELECT count(*) FROM upload") == 0


@ONCE
async def test_what_cannot_become_a_sample_is_refused_before_it_is_put(script: StagedUploads) -> None:
    names = ["../a.png", "..\\a.png", "a/b.png", "/etc/a.png", "a\u202eb.png", "", "é" * 130 + ".png"]
    assert await script.refused(*(upload_input(name, b"x", key=f"n{n}") for n, name in enumerate(names))) == [
        "INVALID_NAME"
    ] * len(names)
    sizes = {5_242_880: None, 5_242_881: "FILE_TOO_LARGE", 0: "IMAGE_UNREADABLE", -1: "IMAGE_UNREADABLE"}
    files = [{"key": f"s{size}", "fileName": f"{size}.png", "size": size} for size in sizes]
    assert await script.refused(*files) == list(sizes.values())
    assert await script.refused(upload_input("a.gif", b"x"), upload_input("png", b"x")) == ["UNSUPPORTED_FORMAT"] * 2
    keys = ["", "a\nb", "é" * 101, "é" * 100]
    files = [upload_input(f"k{n}.png", b"x", key=key) for n, key in enumerate(keys)]
    assert await script.refused(*files) == ["VALIDATION_FAILED"] * 3 + [None]


@ONCE
async def test_a_key_is_one_file(script: StagedUploads) -> None:
    data = image_bytes()
    other = upload_input("a.png", data + b"\0")
    assert await script.refused(upload_input("a.png", data), upload_input("a.png", data), other) == [
        None,
        None,
        "CONFLICT",
    ]
    assert await script.refused(other, upload_input("b.png", data, key="a.png")) == ["CONFLICT", "CONFLICT"]
    await script.sent({"a.png": data})
    await script.complete("a.png")
    assert await script.refused(other) == ["CONFLICT"]


@ONCE
async def test_a_call_takes_so_many(script: StagedUploads) -> None:
    files = [{"key": f"k{n}", "fileName": f"{n}.png", "size": 9} for n in range(1_001)]
    assert await script.refused(*files[:1_000]) == [None] * 1_000
    too_many: list[tuple[str, Any]] = [(REQUEST, {"files": files}), (COMPLETE, {"keys": [f"k{n}" for n in range(201)]})]
    for query, input in too_many:
        assert (await script.answer(query, **input))["errors"][0]["extensions"]["code"] == "VALIDATION_FAILED"
    none: list[tuple[str, Any]] = [(REQUEST, {"files": []}), (COMPLETE, {"keys": []})]
    for query, input in none:
        assert (await script.answer(query, **input))["errors"][0]["extensions"]["code"] == "EMPTY_SELECTION"


@ONCE
async def test_with_an_idempotency_key_the_answer_comes_again(script: StagedUploads) -> None:
    await script.sent({"a.png": image_bytes()})
    first = await script.answer(COMPLETE, key="k1", keys=["a.png"])
    assert await script.answer(COMPLETE, key="k1", keys=["a.png"]) == first
    assert first["data"]["completeUploads"]["change"] is not None


@ONCE
async def test_what_a_token_may_not_see_is_not_there(script: StagedUploads) -> None:
    await script.sent({"a.png": image_bytes()})
    stranger = replace(script, client=Client(script.client.url, await token(script.database, dataset_ids=[4_711])))
    calls: list[tuple[str, Any]] = [
        (REQUEST, {"files": [upload_input("b.png", b"x")]}),
        (COMPLETE, {"keys": ["a.png"]}),
    ]
    for query, input in calls:
        assert (await stranger.answer(query, **input))["errors"][0]["extensions"]["code"] == "DATASET_NOT_FOUND"
    assert (await script.listed(), await script.staged()) == ([], 1)


@ONCE
async def test_images_are_decoded_within_the_owners_limits(script: StagedUploads) -> None:
    await script.sent({"small.png": image_bytes(size=(10, 10)), "large.png": image_bytes(size=(30, 20))})
    limits = script.settings.limits.with_changes(image_pixels=100)
    async with serving(script.settings.with_changes(limits=limits)) as url:
        strict = replace(script, client=replace(script.client, url=url))
        assert await strict.codes("small.png", "large.png") == [None, "IMAGE_UNREADABLE"]


async def test_the_script_of_the_manual_uploads_a_folder(script: StagedUploads, tmp_path: Path) -> None:
    [code] = snippets("docs/clients.md", "python")
    (tmp_path / "upload.py").write_text(code)
    folder = tmp_path / "mine"
    for name in ("a.png", "b/a.PNG", "b/c.png", "bad.jpg", "notes.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"no image" if name == "bad.jpg" else image_bytes())
    given = [script.client.url, str(script.client.token), script.dataset, str(folder), "bird"]
    for _ in range(2):
        run = await asyncio.create_subprocess_exec(
            *(sys.executable, "-W", "error", str(tmp_path / "upload.py"), *given), stdout=asyncio.subprocess.PIPE
        )
        reported, _nothing = await run.communicate()
        assert run.returncode == 0
        assert len([line for line in reported.decode().splitlines() if "JPEG, PNG and BMP" in line]) == 1
    assert await script.paths() == ["a.PNG", "a.png", "c.png"]
    assert (await script.listed(), await script.staged()) == (["a.PNG", "a.png", "c.png"], 0)
    counted = "SELECT sample_count FROM label JOIN label_count ON label_count.label_id = label.id WHERE name = 'bird'"
    assert await script.database.value(counted) == 3


@S3_ITSELF
async def test_s3_gets_the_length_and_what_it_let_through_is_refused(script: StagedUploads) -> None:
    data = image_bytes()
    [upload] = await script.request(upload_input("a.png", data))
    assert "X-Amz-SignedHeaders=content-length%3Bhost" in upload["url"]
    assert upload["headers"] == [{"name": "Content-Length", "value": str(len(data))}]
    assert "planted-secret" not in str(upload)
    async with httpx2.AsyncClient(timeout=TIMEOUT) as http:  # this S3 checks no signatures
        assert (await http.put(upload["url"], content=data + b"\0" * 6_000_000)).status_code == 200
    assert await script.codes("a.png") == ["VALIDATION_FAILED"]
    assert await script.everything() == []


@ONCE
async def test_the_staging_area_does_not_lead_out_through_a_link(script: StagedUploads, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert isinstance(script.store, LocalStore)
    (script.store.root / ".labelgraph").symlink_to(elsewhere)
    data = image_bytes()
    [upload] = await script.request(upload_input("a.png", data))
    assert (await script.put(upload, data)).status_code == 503
    assert await script.codes("a.png") == ["NOT_FOUND"]
    assert list(elsewhere.iterdir()) == []


async def test_the_longest_name_fits_below_the_longest_input_path(script: StagedUploads, tmp_path: Path) -> None:
    """Whole keys of S3 have at most 1,024 bytes."""
    if isinstance(script.store, S3Store):
        prefix = f"s3://{script.store.bucket}/{'p' * 512}"
    else:
        prefix = str(tmp_path)
        while len(prefix) < 800:
            prefix += "/" + "p" * min(255, 1_023 - len(prefix))
    values = {"name": "deep", "inputPath": prefix, "syncNow": False}
    made = await script.client.execute(CREATE, {"input": values})
    deep = replace(script, dataset=made["createDataset"]["dataset"]["id"])
    name, shortened = "n" * 251 + ".png", "n" * 249 + "-1.png"
    data = image_bytes()
    for number in range(2):
        [upload] = await deep.request(upload_input(name, data, key=str(number)), onConflict="RENAME")
        assert (await deep.put(upload, data)).status_code == 200
        assert await deep.codes(str(number)) == [None]
    assert sorted(await deep.paths()) == sorted([name, shortened])


@S3_ITSELF
async def test_a_prefix_that_would_leave_no_room_for_names_is_refused(script: StagedUploads) -> None:
    assert isinstance(script.store, S3Store)
    values = {"name": "deep", "inputPath": f"s3://{script.store.bucket}/{'p' * 513}", "syncNow": False}
    with pytest.raises(Failed) as refused:
        await script.client.execute(CREATE, {"input": values})
    assert refused.value.codes == ["INVALID_PATH"]
