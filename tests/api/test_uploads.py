"""Images sent by clients: the multipart request specification, its limits, and what becomes of each file."""

import asyncio
import io
import itertools
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gql as gql_client
import httpx2
import pytest
from gql import FileVar, gql
from gql.transport.aiohttp import AIOHTTPTransport
from PIL import Image

from api.settings import Limits, Settings
from db.errors import StorageError
from db.history import idempotency
from db.postgres.engine import Database
from db.storage import LocalStore, Store, StoredObject
from db.storage.s3 import S3Store
from tests import s3
from tests.api.test_s3 import configured
from tests.client import Client, serving, token
from tests.db.dataset_fixture import image_bytes
from tests.waiting import SERVER_TIMEOUTS, TIMEOUT

NUMBERS = itertools.count()
AT_THE_DOOR = pytest.mark.parametrize("desk", ["local"], indirect=True)  # wherever the bytes would have gone
MIB = 1024 * 1024
CREATE = "mutation ($input: CreateDatasetInput!) { createDataset(input: $input) { dataset { id } } }"
UPLOAD = """mutation ($input: UploadSamplesInput!) { uploadSamples(input: $input) {
    results { fileName sample { id path fileName size width height format state labels { name } createdAt revision
                                sourceAvailable imageUrl }
              error { code message } }
    dataset { revision statistics { total labeled unlabeled } labels { name sampleCount annotationCount } } } }"""
File = tuple[str, bytes]


@dataclass(frozen=True, slots=True)
class Desk:
    """A dataset, the store it lies in, and a client who sends files."""

    client: Client
    store: Store
    settings: Settings
    dataset: str

    async def send(
        self, operations: Any, places: Any, files: Sequence[tuple[str, File]], **headers: str
    ) -> httpx2.Response:
        """A form as any stock client makes it."""
        fields = {"operations": json.dumps(operations), "map": json.dumps(places)}
        preflight = {"graphql-require-preflight": "true"} | {k.replace("_", "-"): v for k, v in headers.items()}
        return await self.client.request(data=fields, files=list(files), headers=preflight)

    async def answer(self, *files: File, key: str = "", **more: Any) -> dict[str, Any]:
        values = {"datasetId": self.dataset, "files": [None] * len(files)} | more
        operations = {"query": UPLOAD, "variables": {"input": values}}
        places = {str(n): [f"variables.input.files.{n}"] for n in range(len(files))}
        headers = {"idempotency_key": key} if key else {}
        parts = [(str(n), file) for n, file in enumerate(files)]
        response = await self.send(operations, places, parts, **headers)
        return {"status": response.status_code, **response.json()}

    async def upload(self, *files: File, **more: Any) -> dict[str, Any]:
        answer = await self.answer(*files, **more)
        assert "errors" not in answer, answer
        return dict(answer["data"]["uploadSamples"])

    async def codes(self, *files: File, **more: Any) -> list[str | None]:
        """For each file: its error's code, None where there is none."""
        results = (await self.upload(*files, **more))["results"]
        assert all((result["sample"] is None) == (result["error"] is not None) for result in results)
        return [result["error"] and result["error"]["code"] for result in results]

    async def listed(self) -> list[str]:
        return sorted([found.path async for page in self.store.pages() for found in page.objects])


@pytest.fixture(params=["local", "s3"])
async def desk(
    request: pytest.FixtureRequest, database_url: str, database: Database, tmp_path: Path
) -> AsyncIterator[Desk]:
    if request.param == "s3":
        endpoint, bucket = request.getfixturevalue("s3_endpoint"), f"uploads-{next(NUMBERS)}"
        async with s3.connected(endpoint, bucket) as opened:
            settings = configured(database_url, tmp_path, endpoint)
            async with at_work(settings, S3Store(opened, bucket, "in/"), f"s3://{bucket}/in/", database) as desk:
                yield desk
        return
    root = tmp_path / "in"
    root.mkdir()
    settings = Settings(
        database_url=database_url, timeouts=SERVER_TIMEOUTS, data_dir=tmp_path / "data", allowed_roots=(tmp_path,)
    )
    async with at_work(settings, LocalStore(root), str(root), database) as desk:
        yield desk


class at_work:  # noqa: N801 (reads as a function)
    def __init__(self, settings: Settings, store: Store, path: str, database: Database) -> None:
        self.settings = settings.with_changes(worker=False)
        self.store, self.path, self.database = store, path, database
        self.serving = serving(self.settings)

    async def __aenter__(self) -> Desk:
        client = Client(await self.serving.__aenter__(), await token(self.database))
        labels = [{"name": "cat"}, {"name": "dog"}]
        values = {"name": f"d{next(NUMBERS)}", "inputPath": self.path, "syncNow": False, "labels": labels}
        made = await client.execute(CREATE, {"input": values})
        return Desk(client, self.store, self.settings, made["createDataset"]["dataset"]["id"])

    async def __aexit__(self, *error: object) -> None:
        await self.serving.__aexit__(None, None, None)


def padded(size: int, form: str = "PNG") -> bytes:
    """An image of exactly so many bytes."""
    data = image_bytes(form=form)
    return data + b"\0" * (size - len(data))


async def test_an_uploaded_image_is_a_sample_at_once(desk: Desk) -> None:
    data = image_bytes(form="JPEG", size=(30, 20))
    told = await desk.upload(("my cat (1)+é.JPG", data))
    [result] = told["results"]
    sample = result["sample"]
    assert (result["fileName"], result["error"]) == ("my cat (1)+é.JPG", None)
    assert (sample["path"], sample["size"], sample["format"]) == ("my cat (1)+é.JPG", len(data), "JPEG")
    assert (sample["width"], sample["height"], sample["state"], sample["labels"]) == (30, 20, "UNLABELED", [])
    assert told["dataset"]["statistics"] == {"total": 1, "labeled": 0, "unlabeled": 1}
    assert await desk.store.read("my cat (1)+é.JPG") == data
    async with httpx2.AsyncClient(follow_redirects=True, timeout=TIMEOUT) as browser:
        assert (await browser.get(sample["imageUrl"])).content == data


async def test_several_with_labels_are_one_change(desk: Desk) -> None:
    files = [(f"{n}.png", image_bytes()) for n in range(3)]
    told = await desk.upload(*files, labels=["dog", "cat"])
    assert [result["sample"]["path"] for result in told["results"]] == ["0.png", "1.png", "2.png"]
    assert {result["sample"]["state"] for result in told["results"]} == {"LABELED"}
    assert told["dataset"]["labels"] == [
        {"name": name, "sampleCount": 3, "annotationCount": 3} for name in ("cat", "dog")
    ]
    assert {result["sample"]["revision"] for result in told["results"]} == {told["dataset"]["revision"]}


async def test_a_name_that_postgres_cannot_hold_is_refused_for_itself_under_an_idempotency_key_too(desk: Desk) -> None:
    values = {"datasetId": desk.dataset, "files": [None, None]}
    places = {str(n): [f"variables.input.files.{n}"] for n in range(2)}
    files = [("0", ("a%00.png", image_bytes())), ("1", ("b.png", image_bytes()))]
    for _ in range(2):
        operations = {"query": UPLOAD, "variables": {"input": values}}
        answer = (await desk.send(operations, places, files, idempotency_key="k", user_agent="aiohttp/3")).json()
        results = answer["data"]["uploadSamples"]["results"]
        assert [result["error"] and result["error"]["code"] for result in results] == ["INVALID_NAME", None]


async def test_a_file_gets_at_most_a_hundred_labels(desk: Desk) -> None:
    answer = await desk.answer(("a.png", image_bytes()), labels=["cat"] * 101)
    assert answer["errors"][0]["extensions"]["code"] == "VALIDATION_FAILED"
    assert await desk.listed() == []


async def test_an_unknown_label_refuses_everything(desk: Desk) -> None:
    answer = await desk.answer(("a.png", image_bytes()), labels=["bird"])
    assert answer["errors"][0]["extensions"]["code"] == "LABEL_NOT_FOUND"
    assert await desk.listed() == []
    told = await desk.upload(("a.png", image_bytes()), labels=["bird"], createMissing=True)
    assert [label["name"] for label in told["results"][0]["sample"]["labels"]] == ["bird"]


async def test_each_file_is_judged_by_itself(desk: Desk) -> None:
    gif, mpo = io.BytesIO(), io.BytesIO()
    Image.new("RGB", (4, 4)).save(gif, "GIF")
    Image.new("RGB", (4, 4)).save(mpo, "MPO", save_all=True, append_images=[Image.new("RGB", (4, 4))])
    jpeg = image_bytes(form="JPEG", size=(200, 200))
    files: dict[str, tuple[bytes, str | None]] = {
        "ok.bmp": (image_bytes(form="BMP"), None),
        "phone.jpg": (mpo.getvalue(), None),
        "gif.jpg": (gif.getvalue(), "UNSUPPORTED_FORMAT"),
        "png.jpg": (image_bytes(), "UNSUPPORTED_FORMAT"),
        "a.gif": (gif.getvalue(), "UNSUPPORTED_FORMAT"),
        "page.png": (b"<html><script>alert(1)</script>", "UNSUPPORTED_FORMAT"),
        "cut.jpg": (jpeg[: len(jpeg) // 2], "IMAGE_UNREADABLE"),
        "empty.png": (b"", "IMAGE_UNREADABLE"),
        "none": (image_bytes(), "UNSUPPORTED_FORMAT"),
    }
    assert await desk.codes(*((name, data) for name, (data, _) in files.items())) == [
        code for _, code in files.values()
    ]
    assert await desk.listed() == ["ok.bmp", "phone.jpg"]


@pytest.mark.parametrize("name", ["a.jfif", "a.JPE"])
async def test_every_name_of_a_jpeg_is_taken_and_served_as_one(desk: Desk, name: str) -> None:
    [result] = (await desk.upload((name, image_bytes(form="JPEG"))))["results"]
    assert result["sample"]["format"] == "JPEG"
    async with httpx2.AsyncClient(follow_redirects=True) as browser:
        assert (await browser.get(result["sample"]["imageUrl"])).headers["content-type"] == "image/jpeg"
    assert await desk.codes((f"png-{name}", image_bytes(form="PNG"))) == ["UNSUPPORTED_FORMAT"]


async def test_a_bomb_is_refused_before_it_is_decoded(desk: Desk) -> None:
    bomb = io.BytesIO()
    Image.new("1", (30_000, 30_000)).save(bomb, "PNG")
    [result] = (await desk.upload(("bomb.png", bomb.getvalue())))["results"]
    assert result["error"]["code"] == "IMAGE_UNREADABLE"
    assert "30000 × 30000" in result["error"]["message"]


async def test_a_name_is_one_name(desk: Desk) -> None:
    names = ["../a.png", "..\\a.png", "a/b.png", "/etc/a.png", ".a.png", "é" * 130 + ".png"]
    assert await desk.codes(*((name, image_bytes()) for name in names)) == ["INVALID_NAME"] * len(names)
    assert await desk.listed() == []


async def test_a_file_that_fills_its_decoders_memory_costs_no_other(
    database_url: str, database: Database, tmp_path: Path
) -> None:
    root, heavy = tmp_path / "in", io.BytesIO()
    root.mkdir()
    Image.new("RGB", (6_000, 6_000)).save(heavy, "PNG")
    limits = Limits(image_memory=128 * MIB)
    settings = Settings(
        database_url=database_url, timeouts=SERVER_TIMEOUTS, data_dir=tmp_path, allowed_roots=(tmp_path,), limits=limits
    )
    async with at_work(settings, LocalStore(root), str(root), database) as desk:
        files = (("a.png", image_bytes()), ("heavy.png", heavy.getvalue()), ("b.png", image_bytes()))
        assert await desk.codes(*files) == [None, "IMAGE_UNREADABLE", None]
        assert await desk.listed() == ["a.png", "b.png"]


async def test_the_largest_file_is_taken_and_one_byte_more_is_not(desk: Desk) -> None:
    assert await desk.codes(("a.bmp", padded(5_242_880, "BMP"))) == [None]
    assert await desk.codes(("b.bmp", padded(5_242_881, "BMP")), ("c.png", image_bytes())) == ["FILE_TOO_LARGE", None]
    assert await desk.listed() == ["a.bmp", "c.png"]


async def test_the_largest_request_is_taken_and_one_byte_more_is_not(desk: Desk) -> None:
    half = padded(4_194_304, "BMP")
    assert await desk.codes(("a.bmp", half), ("b.bmp", half)) == [None, None]
    answer = await desk.answer(("c.bmp", half), ("d.bmp", half + b"\0"))
    assert answer["status"] == 413
    [error] = answer["errors"]
    assert (error["extensions"]["code"], error["extensions"]["details"]) == ("UPLOAD_TOO_LARGE", {"limit": 8_388_608})
    assert await desk.listed() == ["a.bmp", "b.bmp"]


async def test_nothing_is_written_over(desk: Desk) -> None:
    first = image_bytes()
    await desk.upload(("cat.png", first))
    assert await desk.codes(("cat.png", image_bytes())) == ["SAMPLE_ALREADY_EXISTS"]
    told = await desk.upload(("cat.png", image_bytes()), ("cat.png", image_bytes()), onConflict="RENAME")
    assert {result["sample"]["path"] for result in told["results"]} == {"cat-1.png", "cat-2.png"}
    assert await desk.store.read("cat.png") == first


async def test_a_file_that_lies_there_already_is_not_taken_over(desk: Desk) -> None:
    await desk.store.write("cat.png", b"a stranger's")
    assert await desk.codes(("cat.png", image_bytes())) == ["SAMPLE_ALREADY_EXISTS"]
    assert await desk.store.read("cat.png") == b"a stranger's"


async def test_what_a_crash_left_behind_is_taken_up_by_the_repetition(desk: Desk) -> None:
    data = image_bytes()
    await desk.store.write("cat.png", data)  # the object was written, and the rows were not
    assert await desk.codes(("cat.png", data)) == [None]


async def test_the_same_request_is_carried_out_once(desk: Desk) -> None:
    data = image_bytes()
    first = await desk.answer(("cat.png", data), key="k1", onConflict="RENAME")
    assert await desk.answer(("cat.png", data), key="k1", onConflict="RENAME") == first
    assert await desk.listed() == ["cat.png"]
    other = await desk.answer(("cat.png", image_bytes()), key="k1", onConflict="RENAME")
    assert other["errors"][0]["extensions"]["code"] == "CONFLICT"


async def test_of_two_with_one_key_the_slower_knows_the_quicker_ones_file(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever noted a name first may be the last to write under it, when the other has made a sample of it."""
    noted, done, note = asyncio.Event(), asyncio.Event(), idempotency.note

    async def slowly(*arguments: Any) -> bool:
        is_first = not noted.is_set()
        again = await note(*arguments)
        noted.set()
        if is_first:
            await done.wait()
        return again

    monkeypatch.setattr(idempotency, "note", slowly)
    file = ("cat.png", image_bytes())
    slower = asyncio.create_task(desk.answer(file, key="once", onConflict="RENAME"))
    await noted.wait()
    quicker = await desk.answer(file, key="once", onConflict="RENAME")
    done.set()
    assert await slower == quicker
    assert await desk.listed() == ["cat.png"]


async def test_a_sync_finds_nothing_new_in_what_was_uploaded(desk: Desk, database: Database) -> None:
    from db import jobs
    from db.ingest import sync

    await desk.upload(("a.png", image_bytes()), ("b.jpg", image_bytes(form="JPEG")), labels=["cat"])
    number = int(await database.pool.fetchval("SELECT id FROM dataset"))
    async with database.writing() as session:
        job = await sync.start(session, number, requested_by="ann")
    claim = await jobs.claim(database, 7)
    assert claim is not None
    await sync.run(database, claim, desk.store)
    counts = await database.pool.fetchrow("SELECT added, updated, removed, moved, skipped FROM job WHERE id = $1", job)
    assert counts is not None
    assert tuple(counts) == (0, 0, 0, 0, 0)
    assert await database.pool.fetchval("SELECT revision FROM dataset") == 2


async def test_a_file_may_stand_in_two_places(desk: Desk) -> None:
    values = {"datasetId": desk.dataset, "files": [None, None], "onConflict": "RENAME"}
    places = {"0": ["variables.input.files.0", "variables.input.files.1"]}
    data = image_bytes()
    response = await desk.send({"query": UPLOAD, "variables": {"input": values}}, places, [("0", ("a.png", data))])
    results = response.json()["data"]["uploadSamples"]["results"]
    assert {result["sample"]["path"] for result in results} == {"a.png", "a-1.png"}
    assert [await desk.store.read(path) for path in ("a.png", "a-1.png")] == [data, data]


@AT_THE_DOOR
async def test_no_files_is_an_empty_selection(desk: Desk) -> None:
    values = {"datasetId": desk.dataset, "files": []}
    answer = (await desk.client.post(UPLOAD, {"input": values})).json()
    assert answer["errors"][0]["extensions"]["code"] == "EMPTY_SELECTION"


@AT_THE_DOOR
async def test_a_text_is_no_file(desk: Desk) -> None:
    values = {"datasetId": desk.dataset, "files": ["data:image/png;base64,AAAA"]}
    answer = (await desk.client.post(UPLOAD, {"input": values})).json()
    assert "Upload takes a file" in answer["errors"][0]["message"]
    assert answer["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"


@AT_THE_DOOR
async def test_a_form_without_a_preflight_header_is_refused(desk: Desk) -> None:
    values = {"datasetId": desk.dataset, "files": [None]}
    fields = {
        "operations": json.dumps({"query": UPLOAD, "variables": {"input": values}}),
        "map": json.dumps({"0": ["variables.input.files.0"]}),
    }
    response = await desk.client.request(data=fields, files=[("0", ("a.png", image_bytes()))])
    assert response.status_code == 400
    assert "GraphQL-Require-Preflight" in response.json()["errors"][0]["message"]
    assert await desk.listed() == []


@AT_THE_DOOR
@pytest.mark.parametrize(
    ("operations", "places"),
    [
        ([], {"0": ["variables.input.files.0"]}),
        ({"query": UPLOAD, "variables": {}}, {"0": ["variables.input.files.0"]}),
        ({"query": UPLOAD, "variables": {"input": {"files": [None]}}}, {}),
        ({"query": UPLOAD, "variables": {"input": {"files": [None]}}}, {"1": ["variables.input.files.0"]}),
        ({"query": UPLOAD, "variables": {"input": {"files": [None]}}}, {"0": ["query"]}),
        ({"query": UPLOAD, "variables": {"input": {"files": [None]}}}, {"0": ["variables.input.files.7"]}),
        ({"query": UPLOAD, "variables": {"input": {"files": [None]}}}, {"0": ["variables.input.files.-1"]}),
        ({"query": UPLOAD, "variables": {"input": {"files": ["x"]}}}, {"0": ["variables.input.files.0"]}),
        ({"query": UPLOAD, "variables": {"input": {"files": [None]}}}, {"0": []}),
        ({"query": UPLOAD, "variables": {"input": {"files": [None]}}}, {"0": 7}),
        ({"query": UPLOAD, "variables": {"input": {"files": [None]}}}, ["0"]),
    ],
)
async def test_a_form_that_makes_no_sense_is_a_bad_request(desk: Desk, operations: Any, places: Any) -> None:
    response = await desk.send(operations, places, [("0", ("a.png", image_bytes()))])
    assert response.status_code == 400
    assert response.json()["errors"][0]["extensions"]["code"] == "BAD_REQUEST"


@AT_THE_DOOR
@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data", b""),
        ("multipart/form-data; boundary=x", b""),
        ("multipart/form-data; boundary=x", b"rubbish"),
        ("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="operations"\r\n\r\n{"que'),
        ("multipart/form-data; boundary=x", b"--x\r\n\r\n\r\n--x--\r\n"),
        ("multipart/form-data; boundary=" + "x" * 300, b"--x--"),
    ],
)
async def test_a_broken_form_is_a_bad_request(desk: Desk, kind: str, body: bytes) -> None:
    headers = {"content-type": kind, "graphql-require-preflight": "1"}
    response = await desk.client.request(content=body, headers=headers)
    assert response.status_code == 400
    assert response.json()["errors"][0]["extensions"]["code"] == "BAD_REQUEST"


@AT_THE_DOOR
async def test_nobody_sends_files_without_a_token(desk: Desk) -> None:
    stranger = replace(desk, client=Client(desk.client.url))
    answer = await stranger.answer(("a.png", image_bytes()))
    assert (answer["status"], answer["errors"][0]["extensions"]["code"]) == (401, "UNAUTHENTICATED")
    assert await desk.listed() == []


@AT_THE_DOOR
async def test_a_stock_client_uploads(desk: Desk, tmp_path: Path) -> None:
    picked = tmp_path / "picked (1)+é%20.png"
    picked.write_bytes(image_bytes())
    headers = desk.client.headers | {"GraphQL-Require-Preflight": "true"}
    transport = AIOHTTPTransport(url=f"{desk.client.url}/graphql", headers=headers)
    query = gql(UPLOAD)
    query.variable_values = {"input": {"datasetId": desk.dataset, "files": [FileVar(str(picked))]}}
    async with gql_client.Client(transport=transport) as session:
        told = await session.execute(query, upload_files=True)
    assert told["uploadSamples"]["results"][0]["sample"]["path"] == picked.name


@AT_THE_DOOR
async def test_a_name_means_what_it_says_where_clients_do_not_encode_it(desk: Desk) -> None:
    assert (await desk.upload(("a%20b.png", image_bytes())))["results"][0]["sample"]["path"] == "a%20b.png"


NAMES = [
    "Screenshot 3.04.05\u202fPM.png",
    "全角\u3000空白.png",
    "\U0001f469\u200d\U0001f52c.png",
    "O'Brien.png",
    'cats & dogs <1> = "2"!.png',
]


async def test_names_are_taken_as_they_are(desk: Desk) -> None:
    results = (await desk.upload(*((name, image_bytes()) for name in NAMES if '"' not in name)))["results"]
    assert [result["sample"]["path"] for result in results] == [name for name in NAMES if '"' not in name]
    [composed] = (await desk.upload(("cafe\u0301.png", image_bytes())))["results"]
    assert composed["sample"]["path"] == "caf\u00e9.png"


REQUEST = """mutation ($input: RequestUploadsInput!) { requestUploads(input: $input) {
    uploads { path error { code message } } } }"""


@AT_THE_DOOR
@pytest.mark.parametrize("name", NAMES)
async def test_both_ways_to_upload_have_one_rule_for_names(desk: Desk, name: str) -> None:
    values = {"datasetId": desk.dataset, "files": [{"key": "k", "fileName": name, "size": 9}]}
    [ticket] = (await desk.client.execute(REQUEST, {"input": values}))["requestUploads"]["uploads"]
    assert ticket == {"path": name, "error": None}


@AT_THE_DOOR
@pytest.mark.parametrize(
    ("name", "point"),
    [("a\u202eb.png", "U+202E"), ("a\u0007b.png", "U+0007"), ("a/b.png", "U+002F"), ("a\u2028b.png", "U+2028")],
)
async def test_a_refused_name_is_told_with_its_character(desk: Desk, name: str, point: str) -> None:
    values = {"datasetId": desk.dataset, "files": [{"key": "k", "fileName": name, "size": 9}]}
    [ticket] = (await desk.client.execute(REQUEST, {"input": values}))["requestUploads"]["uploads"]
    assert ticket["error"]["code"] == "INVALID_NAME"
    assert point in ticket["error"]["message"]
    assert "character 2" in ticket["error"]["message"]


async def test_files_of_one_name_are_numbered_in_the_order_of_the_request(desk: Desk) -> None:
    """The first takes longest to be looked at."""
    sizes = [(1200, 1200), (900, 900), (600, 600), *[(8, 6)] * 7]
    files = [("cat.png", image_bytes(size=size)) for size in sizes]
    files.insert(5, ("cat-1.png", image_bytes()))
    results = (await desk.upload(*files, onConflict="RENAME"))["results"]
    paths = [result["sample"]["path"] for result in results]
    expected = [
        "cat.png",
        *(f"cat-{n}.png" for n in range(1, 5)),
        "cat-1-1.png",
        *(f"cat-{n}.png" for n in range(5, 10)),
    ]
    assert paths == expected


async def test_a_name_too_long_for_its_number_is_cut_between_characters(desk: Desk) -> None:
    name = "長" * 83 + "aa.png"
    results = (await desk.upload(*((name, image_bytes()) for _ in range(3)), onConflict="RENAME"))["results"]
    cut = "長" * 83
    assert [result["sample"]["path"] for result in results] == [name, f"{cut}-1.png", f"{cut}-2.png"]
    assert await desk.listed() == sorted([name, f"{cut}-1.png", f"{cut}-2.png"])


@AT_THE_DOOR
@pytest.mark.parametrize(
    ("disposition", "path"),
    [
        ("filename*=UTF-8''%E6%97%A5%E6%9C%AC.png", "日本.png"),
        ("filename=\"x.png\"; filename*=utf-8'ja'%E6%97%A5%E6%9C%AC.png", "日本.png"),
        ("filename*=iso-8859-1''caf%E9.png; filename=\"x.png\"", "café.png"),
        ('filename="日本.png"', "日本.png"),
        ('filename="a\\"b.png"', 'a"b.png'),
        ("filename=\"a; filename*=UTF-8''b.png\"", "a; filename*=UTF-8''b.png"),
        ("filename*=UTF-8''", None),
        ("filename*=koi8-r''x.png", None),
    ],
)
async def test_a_file_name_may_be_extended(desk: Desk, disposition: str, path: str | None) -> None:
    values = {"datasetId": desk.dataset, "files": [None]}
    parts = [
        ('name="operations"', json.dumps({"query": UPLOAD, "variables": {"input": values}}).encode()),
        ('name="map"', b'{"0": ["variables.input.files.0"]}'),
        (f'name="0"; {disposition}', image_bytes()),
    ]
    body = b"".join(b"--x\r\nContent-Disposition: form-data; %s\r\n\r\n%s\r\n" % (h.encode(), d) for h, d in parts)
    headers = {"content-type": "multipart/form-data; boundary=x", "graphql-require-preflight": "1"}
    response = await desk.client.request(content=body + b"--x--\r\n", headers=headers)
    if path is None:
        assert response.status_code == 400
    else:
        assert response.json()["data"]["uploadSamples"]["results"][0]["sample"]["path"] == path


@AT_THE_DOOR
async def test_what_storage_refused_is_tried_again_under_the_same_key_and_the_rest_is_left_alone(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, failing = LocalStore.write, True

    async def fails_for_one(self: LocalStore, path: str, data: bytes) -> StoredObject:
        if failing and path == "dog.png":
            raise StorageError("The store could not do it.")
        return await write(self, path, data)

    monkeypatch.setattr(LocalStore, "write", fails_for_one)
    files = [("cat.png", image_bytes()), ("dog.png", image_bytes()), ("bad.png", b"no image")]
    first = await desk.answer(*files, key="k", labels=["cat"])
    codes = [result["error"] and result["error"]["code"] for result in first["data"]["uploadSamples"]["results"]]
    assert codes == [None, "STORAGE_ERROR", "UNSUPPORTED_FORMAT"]
    cat = first["data"]["uploadSamples"]["results"][0]["sample"]["id"]
    await desk.client.execute(REMOVE, {"dataset": desk.dataset, "ids": [cat]})
    failing = False
    for _ in range(2):
        again = (await desk.answer(*files, key="k", labels=["cat"]))["data"]["uploadSamples"]
        cat_result, dog_result, bad_result = again["results"]
        assert (cat_result["sample"]["id"], cat_result["sample"]["labels"]) == (cat, [])
        assert [label["name"] for label in dog_result["sample"]["labels"]] == ["cat"]
        assert bad_result["error"]["code"] == "UNSUPPORTED_FORMAT"
        assert again["dataset"]["revision"] == 4  # labels made, uploaded, unlabelled, uploaded the rest
    assert await desk.listed() == ["cat.png", "dog.png"]


REMOVE = """mutation ($dataset: ID!, $ids: [ID!]!) {
    labelSamples(input: {datasetId: $dataset, select: {ids: $ids}, labels: ["cat"], mode: REMOVE}) { changed } }"""


@AT_THE_DOOR
async def test_an_input_path_that_was_away_is_no_answer_for_a_day(desk: Desk) -> None:
    assert isinstance(desk.store, LocalStore)
    root, files = desk.store.root, [("cat.png", image_bytes())]
    root.rmdir()
    root.write_text("in the way")
    first = await desk.answer(*files, key="k")
    assert "STORAGE_ERROR" in json.dumps(first)
    root.unlink()
    root.mkdir()
    [result] = (await desk.answer(*files, key="k"))["data"]["uploadSamples"]["results"]
    assert result["sample"]["path"] == "cat.png"
