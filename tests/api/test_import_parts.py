"""A large file for an import, uploaded in parts to a directory, to a bucket, or to a bucket through this server."""

import io
import zipfile
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from api.configuration import stores
from db import jobs
from db.identity import tokens
from db.ingest import imports
from db.ingest.imports import records, stages
from db.ingest.uploads import parts
from db.ingest.uploads.files import STAGING
from db.postgres.engine import Database
from db.storage import LocalStore
from db.storage.s3 import S3Store
from tests.api.staged_uploads import REQUEST as REQUEST_UPLOADS
from tests.api.staged_uploads import StagedUploads, open_staged_uploads, upload_input
from tests.client import Client, token
from tests.db.dataset_fixture import image_bytes

SIZE = 500
REQUEST = """mutation ($input: RequestImportUploadInput!) { requestImportUpload(input: $input) {
    partCount missingParts { number offset size url method headers { name value } } } }"""
IMPORT = "mutation ($input: ImportAnnotationsInput!) { importAnnotations(input: $input) { job { id } } }"
CANCEL = """mutation ($input: CancelUploadsInput!) { cancelUploads(input: $input) {
    canceledCount notFoundKeys notFoundImportKeys } }"""
OWNER = "SELECT name FROM token WHERE id::text = (SELECT split_part(key, ':', 1) FROM import_upload)"
IMAGES = {f"cat/{number}.png": image_bytes() for number in range(12)}


@pytest.fixture(params=["local", "s3", "s3 through us"])
async def script(
    request: pytest.FixtureRequest, database: Database, database_url: str, tmp_path: Path
) -> AsyncIterator[StagedUploads]:
    async with open_staged_uploads(request.param, request, database, database_url, tmp_path) as opened:
        yield opened


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "PART", SIZE)
    monkeypatch.setattr(parts, "MAX_MISSING", 2)


def archive() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as packed:
        for name, data in IMAGES.items():
            packed.writestr(name, data)
    return out.getvalue()


async def send(script: StagedUploads, query: str, **input: Any) -> dict[str, Any]:
    response = await script.client.post(query, {"input": {"datasetId": script.dataset} | input}, timeout=60)
    return dict(response.json())


async def missing(script: StagedUploads, data: bytes, **more: Any) -> list[dict[str, Any]]:
    answer = await send(script, REQUEST, key="set", fileName="set.zip", size=len(data), **more)
    payload = answer["data"]["requestImportUpload"]
    assert payload["partCount"] == -(-len(data) // SIZE)
    return list(payload["missingParts"])


async def put_all(script: StagedUploads, data: bytes) -> None:
    while some := await missing(script, data):
        for part in some:
            offset = int(part["offset"])
            assert (await script.put(part, data[offset : offset + part["size"]])).status_code == 200


async def code(script: StagedUploads, query: str, **input: Any) -> str:
    [error] = (await send(script, query, **input))["errors"]
    return str(error["extensions"]["code"])


async def claimed(script: StagedUploads, **more: Any) -> jobs.Claim:
    """An import that a worker is about to run."""
    answer = await send(script, IMPORT, **{"uploadKey": "set", "images": "STORE"} | more)
    assert "errors" not in answer, answer
    claim = await jobs.claim(script.database, 7)
    assert claim is not None
    return claim


async def run_import(script: StagedUploads, **more: Any) -> dict[str, Any]:
    claim = await claimed(script, **more)
    async with stores(script.settings) as opened:
        await imports.run(script.database, claim, opened)
        await jobs.finish(script.database, claim, "SUCCEEDED")
        await parts.sweep(script.database, opened.open)
    async with script.database.reading() as connection:
        row = await connection.fetchrow("SELECT added, format FROM job WHERE id = $1", claim.id)
    return dict(row or {})


async def test_a_file_is_uploaded_in_parts_and_imported(script: StagedUploads) -> None:
    data = archive()
    first, second = await missing(script, data)
    assert (first["number"], second["number"], second["offset"], second["size"]) == (0, 1, SIZE, SIZE)
    assert (await script.put(second, data[SIZE : 2 * SIZE])).status_code == 200
    if not isinstance(script.store, S3Store) or script.kind != "s3":  # the store in the tests does not compare sizes
        assert (await script.put(first | {"headers": []}, b"short")).status_code == 400
    assert [part["number"] for part in await missing(script, data)] == [0, 2]
    assert await code(script, IMPORT, uploadKey="set") == "VALIDATION_FAILED"
    assert await code(script, IMPORT, uploadKey="other") == "NOT_FOUND"
    assert await code(script, REQUEST, key="set", fileName="set.zip", size=len(data) + 1) == "CONFLICT"
    assert await code(script, REQUEST, key="set", fileName="set.zip", size=0.5) == "VALIDATION_FAILED"
    await put_all(script, data)
    count = -(-len(data) // SIZE)
    assert await run_import(script, dryRun=True) == {"added": len(IMAGES), "format": "IMAGE_FOLDER"}
    assert (await script.listed(), await script.staged()) == ([], count)
    assert await run_import(script) == {"added": len(IMAGES), "format": "IMAGE_FOLDER"}
    assert (await script.listed(), await script.staged()) == (sorted(IMAGES), 0)
    assert await script.store.read("cat/7.png") == IMAGES["cat/7.png"]
    assert [part["number"] for part in await missing(script, data)] == [0, 1]


async def test_a_key_is_unknown_to_other_tokens(
    database: Database, database_url: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    data = archive()
    async with open_staged_uploads("local", request, database, database_url, tmp_path) as script:
        await put_all(script, data)
        other = replace(script, client=Client(script.client.url, await token(database)))
        assert await code(other, IMPORT, uploadKey="set") == "NOT_FOUND"
        assert len(await missing(other, b"another file")) == 1
        assert await missing(script, data) == []


async def test_a_dataset_waits_for_no_more_than_it_may(
    database: Database,
    database_url: str,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = archive()
    half = len(data) + 100
    monkeypatch.setenv("LABELGRAPH_LIMIT_STAGED", str(2 * half))
    async with open_staged_uploads("local", request, database, database_url, tmp_path) as script:
        for _ in range(2):  # asked for again it counts once
            await script.request(upload_input("a.png", bytes(60)))
            await put_all(script, data)
        too_much = {"key": "other", "fileName": "other.zip", "size": 41}
        assert await code(script, REQUEST, **too_much) == "UPLOAD_TOO_LARGE"
        assert await code(script, REQUEST_UPLOADS, files=[upload_input("b.png", bytes(41))]) == "UPLOAD_TOO_LARGE"
        assert "errors" not in await send(script, REQUEST, **too_much | {"size": 40})
        others = [replace(script, client=Client(script.client.url, await token(database))) for _ in range(2)]
        await others[0].request(upload_input("c.png", bytes(60)))  # what one token announces leaves half to others
        assert "errors" not in await send(others[0], REQUEST, key="set", fileName="set.zip", size=half // 2 - 60)
        assert await code(others[0], REQUEST_UPLOADS, files=[upload_input("d.png", bytes(1))]) == "UPLOAD_TOO_LARGE"
        await others[1].request(upload_input("e.png", bytes(half // 4)))  # and each further one half of the rest
        await script.do("UPDATE import_upload SET size = 10 * size WHERE key LIKE '%:other'")
        await missing(script, data)  # what goes on is never refused
        await script.request(upload_input("a.png", bytes(60)))
        await script.do("UPDATE import_upload SET size = size / 10 WHERE key LIKE '%:other'")
        await run_import(script)
        assert "errors" not in await send(script, REQUEST, key="more", fileName="more.zip", size=len(data) // 2)


async def test_uploads_that_are_not_needed_are_canceled(
    database: Database,
    database_url: str,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = archive()
    monkeypatch.setenv("LABELGRAPH_LIMIT_STAGED", str(2 * len(data) + 200))
    async with open_staged_uploads("local", request, database, database_url, tmp_path) as script:
        await put_all(script, data)
        [upload] = await script.request(upload_input("a.png", image_bytes()[:60]))
        await script.put(upload, image_bytes()[:60])
        keys = {"keys": ["a.png", "x"], "importKeys": ["set", "y"]}
        other = replace(script, client=Client(script.client.url, await token(database)))
        not_found = (await send(other, CANCEL, importKeys=["set", "set"]))["data"]["cancelUploads"]
        assert not_found == {"canceledCount": 0, "notFoundKeys": [], "notFoundImportKeys": ["set"]}
        claim = await claimed(script, dryRun=True)
        assert await code(script, CANCEL, **keys) == "CONFLICT"
        await jobs.finish(database, claim, "CANCELED")
        assert await script.staged() == -(-len(data) // SIZE) + 1
        assert await code(script, REQUEST, key="more", fileName="more.zip", size=len(data)) == "UPLOAD_TOO_LARGE"
        canceled = (await send(script, CANCEL, **keys))["data"]["cancelUploads"]
        assert canceled == {"canceledCount": 2, "notFoundKeys": ["x"], "notFoundImportKeys": ["y"]}
        assert await script.everything() == []
        assert (await script.put(upload, image_bytes()[:60])).status_code == 404
        assert await script.codes("a.png") == ["NOT_FOUND"]
        assert await code(script, IMPORT, uploadKey="set") == "NOT_FOUND"
        assert (await send(script, CANCEL, **keys))["data"]["cancelUploads"]["canceledCount"] == 0
        assert await code(script, CANCEL) == "EMPTY_SELECTION"
        assert len(await missing(script, data)) == 2
        assert (await script.request(upload_input("a.png", image_bytes()[:60])))[0]["url"]
        await put_all(script, data)
        assert (await run_import(script))["added"] == len(IMAGES)


async def test_what_is_canceled_counts_until_the_urls_of_a_bucket_have_expired(
    database: Database,
    database_url: str,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = archive()
    monkeypatch.setenv("LABELGRAPH_LIMIT_STAGED", str(2 * len(data) + 200))
    async with open_staged_uploads("s3", request, database, database_url, tmp_path) as script:
        [part, _] = await missing(script, data)
        small = [upload_input("a.png", bytes(10))]
        await script.request(upload_input("a.png", bytes(60)))
        for _ in range(2):  # the same keys again
            await send(script, CANCEL, keys=["a.png"], importKeys=["set"])
            assert await code(script, REQUEST, key="set", fileName="set.zip", size=41) == "UPLOAD_TOO_LARGE"
            assert "errors" not in await script.answer(REQUEST_UPLOADS, files=small)
        assert (await script.put(part, data[:SIZE])).status_code == 200  # the bucket knows nothing of it
        await send(script, CANCEL, keys=["a.png"])
        await script.do("UPDATE import_upload SET urls_until = now()")
        await script.do("UPDATE upload SET expires_at = now()")
        assert len(await missing(script, data)) == 2
        assert "errors" not in await script.answer(REQUEST_UPLOADS, files=[upload_input("a.png", bytes(100))])


@pytest.mark.parametrize("kind", ["local", "s3"])
async def test_what_is_refused_counts_until_the_urls_of_a_bucket_have_expired_and_its_key_gets_another_url(
    database: Database,
    database_url: str,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    good = image_bytes()
    large, limit = upload_input("a.png", good + bytes(60)), 2 * len(good) + 60  # of which one token has half
    monkeypatch.setenv("LABELGRAPH_LIMIT_STAGED", str(2 * limit))
    async with open_staged_uploads(kind, request, database, database_url, tmp_path) as script:
        [old] = await script.request(large)
        assert await script.refused(upload_input("a.png", good)) == ["CONFLICT"]
        assert (await script.put(old, bytes(large["size"]))).status_code == 200
        assert await script.codes("a.png") == ["UNSUPPORTED_FORMAT"]
        is_refused = "errors" in await script.answer(REQUEST_UPLOADS, files=[large])
        assert is_refused == (kind == "s3"), "both would be more than it may be"
        if kind == "s3":
            [new] = await script.request(upload_input("a.png", good))
            await script.put(new, good)
            assert (await script.put(old, bytes(large["size"]))).status_code == 200
            assert await script.codes("a.png") == [None]


async def test_files_of_a_token_that_is_revoked_are_cleared_away(
    database: Database,
    database_url: str,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = archive()
    monkeypatch.setenv("LABELGRAPH_LIMIT_STAGED", str(2 * len(data)))
    async with open_staged_uploads("local", request, database, database_url, tmp_path) as script:
        await put_all(script, data)
        async with database.writing() as session:
            await tokens.revoke(session, await database.value(OWNER))
        assert await sweep(script) == 0
        other = replace(script, client=Client(script.client.url, await token(database)))
        assert await missing(other, data)


async def sweep(script: StagedUploads) -> int:
    """What is staged after a sweep."""
    await script.do("UPDATE import_upload SET sweep_at = least(sweep_at, now())")
    async with stores(script.settings) as opened:
        await parts.sweep(script.database, opened.open)
    return await script.staged()


async def sweep_after_urls(script: StagedUploads) -> tuple[int, int]:
    """What is staged and known after a sweep an hour after the last URL has ended."""
    await script.do("UPDATE import_upload SET urls_until = now() - interval '61 min', sweep_at = now()")
    staged = await sweep(script)
    return staged, int(await script.database.value("SELECT count(*) FROM import_upload"))


async def test_a_url_of_a_part_that_is_used_after_the_import_leaves_nothing(script: StagedUploads) -> None:
    data = archive()
    [first, _] = await missing(script, data)
    await put_all(script, data)
    await run_import(script)
    assert await code(script, IMPORT, uploadKey="set") == "NOT_FOUND"
    status = (await script.put(first, data[:SIZE])).status_code
    assert status == (200 if script.kind == "s3" else 404), "a bucket takes it while the URL is valid"
    assert await script.staged() == (status == 200)
    assert await sweep_after_urls(script) == (0, 0)


async def test_a_part_that_arrives_when_the_upload_ends_is_refused_and_cleared_away(
    database: Database,
    database_url: str,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = archive()
    original = LocalStore.replace
    async with open_staged_uploads("local", request, database, database_url, tmp_path) as script:

        async def late(store: LocalStore, path: str, piece: bytes) -> None:
            await script.do("UPDATE import_upload SET expires_at = now()")
            assert await sweep(script) == 0
            await original(store, path, piece)

        [first, _] = await missing(script, data)
        monkeypatch.setattr(LocalStore, "replace", late)
        assert (await script.put(first, data[:SIZE])).status_code == 404
        assert await script.staged() == 1
        assert await sweep_after_urls(script) == (0, 0)


async def test_parts_that_nobody_asks_for_are_cleared_away(
    database: Database, database_url: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    data = archive()
    async with open_staged_uploads("local", request, database, database_url, tmp_path) as script:
        await put_all(script, data)
        await script.do("UPDATE import_upload SET expires_at = now()")
        [late, _] = await missing(script, data)  # a new upload, under the same key
        async with stores(script.settings) as opened:
            await parts.sweep(database, opened.open)
        assert await script.staged() == 0
        assert (await script.put(late, data[:SIZE])).status_code == 200
        [path] = [path for path in await script.everything() if path.startswith(STAGING)]
        assert path.endswith("-0")


async def test_a_part_that_is_replaced_while_an_import_reads_it_fails_the_import(
    script: StagedUploads, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = archive()
    some = await missing(script, data)
    first = some[0]
    await put_all(script, data)
    claim = await claimed(script)
    is_bucket = script.kind == "s3"
    assert (await script.put(first, bytes(SIZE))).status_code == (200 if is_bucket else 409)
    if is_bucket:
        assert (await script.put(first, data[:SIZE])).status_code == 200
    original = records.stage_records

    async def replaced(*arguments: Any, **more: Any) -> None:
        await original(*arguments, **more)
        await script.store.replace(f"{STAGING}{claim.arguments['staged']}-0", bytes(SIZE))  # as by a bucket's own URL

    monkeypatch.setattr(stages, "stage_records", replaced)
    async with stores(script.settings) as opened:
        for _ in range(2):  # once while it reads, and once when it begins again where it was
            with pytest.raises(parts.PartsChanged) as failed:
                await imports.run(script.database, claim, opened)
            assert failed.value.code == "CONFLICT"
        await jobs.finish(script.database, claim, "FAILED", parts.PartsChanged())
        assert await sweep(script) == -(-len(data) // SIZE)
    assert await script.listed() == []
    monkeypatch.undo()
    monkeypatch.setattr(parts, "PART", SIZE)
    assert (await script.put(first, data[:SIZE])).status_code == 200, "it is sealed no longer"
    assert await run_import(script) == {"added": len(IMAGES), "format": "IMAGE_FOLDER"}


async def test_an_import_that_skips_everything_keeps_the_parts(script: StagedUploads) -> None:
    data = archive()
    await put_all(script, data)
    assert await run_import(script, format="IMAGE_FOLDER", images="MATCH") == {"added": 0, "format": "IMAGE_FOLDER"}
    assert (await script.staged(), await missing(script, data)) == (-(-len(data) // SIZE), [])
    assert (await run_import(script))["added"] == len(IMAGES)
    assert await script.staged() == 0
