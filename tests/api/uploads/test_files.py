"""Images sent by clients: what becomes of each file."""

import io
from pathlib import Path

import httpx2
import pytest
from PIL import Image

from api.settings import Limits, Settings
from db.postgres.engine import Database
from db.storage import LocalStore
from tests.api.uploads.upload_client import UploadClient, good_and_bad_files, upload_client
from tests.db.dataset_fixture import image_bytes
from tests.waiting import SERVER_TIMEOUTS, TIMEOUT

MIB = 1024 * 1024


def padded(size: int, form: str = "PNG") -> bytes:
    """An image of exactly so many bytes."""
    data = image_bytes(form=form)
    return data + b"\0" * (size - len(data))


async def test_an_uploaded_image_is_a_sample_at_once(uploader: UploadClient) -> None:
    data = image_bytes(form="JPEG", size=(30, 20))
    payload = await uploader.upload(("my cat (1)+é.JPG", data))
    [result] = payload["results"]
    sample = result["sample"]
    assert (result["fileName"], result["error"]) == ("my cat (1)+é.JPG", None)
    assert (sample["path"], sample["size"], sample["format"]) == ("my cat (1)+é.JPG", len(data), "JPEG")
    assert (sample["width"], sample["height"], sample["state"], sample["labels"]) == (30, 20, "UNLABELED", [])
    assert payload["dataset"]["statistics"] == {"totalCount": 1, "labeledCount": 0, "unlabeledCount": 1}
    assert await uploader.store.read("my cat (1)+é.JPG") == data
    async with httpx2.AsyncClient(follow_redirects=True, timeout=TIMEOUT) as browser:
        assert (await browser.get(sample["imageUrl"])).content == data


async def test_several_with_labels_are_one_change(uploader: UploadClient) -> None:
    files = [(f"{n}.png", image_bytes()) for n in range(3)]
    payload = await uploader.upload(*files, labels=["dog", "cat"])
    assert [result["sample"]["path"] for result in payload["results"]] == ["0.png", "1.png", "2.png"]
    assert {result["sample"]["state"] for result in payload["results"]} == {"LABELED"}
    assert payload["dataset"]["labels"] == [
        {"name": name, "sampleCount": 3, "annotationCount": 3} for name in ("cat", "dog")
    ]
    assert {result["sample"]["revision"] for result in payload["results"]} == {payload["dataset"]["revision"]}
    assert payload["change"] == {"revision": payload["dataset"]["revision"], "kind": "UPLOAD_SAMPLES"}


async def test_a_file_gets_at_most_a_hundred_labels(uploader: UploadClient) -> None:
    answer = await uploader.answer(("a.png", image_bytes()), labels=["cat"] * 101)
    assert answer["errors"][0]["extensions"]["code"] == "VALIDATION_FAILED"
    assert await uploader.listed() == []


async def test_an_unknown_label_refuses_everything(uploader: UploadClient) -> None:
    answer = await uploader.answer(("a.png", image_bytes()), labels=["bird"])
    assert answer["errors"][0]["extensions"]["code"] == "LABEL_NOT_FOUND"
    assert await uploader.listed() == []
    payload = await uploader.upload(("a.png", image_bytes()), labels=["bird"], createMissing=True)
    assert [label["name"] for label in payload["results"][0]["sample"]["labels"]] == ["bird"]
    bird = payload["results"][0]["sample"]["labels"][0]["id"]
    payload = await uploader.upload(("b.png", image_bytes()), labelIds=[bird])
    assert [label["name"] for label in payload["results"][0]["sample"]["labels"]] == ["bird"]


async def test_each_file_is_judged_by_itself(uploader: UploadClient) -> None:
    files = good_and_bad_files()
    files |= {
        "a.gif": files["gif.jpg"],
        "empty.png": (b"", "IMAGE_UNREADABLE"),
        "none": (image_bytes(), "UNSUPPORTED_FORMAT"),
    }
    assert await uploader.codes(*((name, data) for name, (data, _) in files.items())) == [
        code for _, code in files.values()
    ]
    assert await uploader.listed() == ["ok.bmp", "phone.jpg"]


@pytest.mark.parametrize("name", ["a.jfif", "a.JPE"])
async def test_every_name_of_a_jpeg_is_taken_and_served_as_one(uploader: UploadClient, name: str) -> None:
    [result] = (await uploader.upload((name, image_bytes(form="JPEG"))))["results"]
    assert result["sample"]["format"] == "JPEG"
    async with httpx2.AsyncClient(follow_redirects=True) as browser:
        assert (await browser.get(result["sample"]["imageUrl"])).headers["content-type"] == "image/jpeg"
    assert await uploader.codes((f"png-{name}", image_bytes(form="PNG"))) == ["UNSUPPORTED_FORMAT"]


async def test_a_dataset_takes_the_formats_that_it_says(uploader: UploadClient) -> None:
    files = [(f"a.{form.lower()}", image_bytes(form=form)) for form in ("WEBP", "TIFF", "GIF", "AVIF")]
    assert await uploader.codes(*files) == ["UNSUPPORTED_FORMAT"] * 4
    update = "mutation ($input: UpdateDatasetInput!) { updateDataset(input: $input) { dataset { id } } }"
    new = {"datasetId": uploader.dataset, "imageFormats": ["WEBP", "TIFF", "GIF", "AVIF"]}
    await uploader.client.execute(update, {"input": new})
    assert await uploader.codes(*files, ("a.png", image_bytes()), ("b.gif", files[0][1])) == (
        [None] * 4 + ["UNSUPPORTED_FORMAT"] * 2
    )
    assert await uploader.listed() == ["a.avif", "a.gif", "a.tiff", "a.webp"]


async def test_a_bomb_is_refused_before_it_is_decoded(uploader: UploadClient) -> None:
    bomb = io.BytesIO()
    Image.new("1", (30_000, 30_000)).save(bomb, "PNG")
    [result] = (await uploader.upload(("bomb.png", bomb.getvalue())))["results"]
    assert result["error"]["code"] == "IMAGE_UNREADABLE"
    assert "30000 × 30000" in result["error"]["message"]


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
    async with upload_client(settings, LocalStore(root), str(root), database) as uploader:
        files = (("a.png", image_bytes()), ("heavy.png", heavy.getvalue()), ("b.png", image_bytes()))
        assert await uploader.codes(*files) == [None, "IMAGE_UNREADABLE", None]
        assert await uploader.listed() == ["a.png", "b.png"]


async def test_the_largest_file_is_taken_and_one_byte_more_is_not(uploader: UploadClient) -> None:
    assert await uploader.codes(("a.bmp", padded(5_242_880, "BMP"))) == [None]
    assert await uploader.codes(("b.bmp", padded(5_242_881, "BMP")), ("c.png", image_bytes())) == [
        "FILE_TOO_LARGE",
        None,
    ]
    assert await uploader.listed() == ["a.bmp", "c.png"]


async def test_the_largest_request_is_taken_and_one_byte_more_is_not(uploader: UploadClient) -> None:
    half = padded(4_194_304, "BMP")
    assert await uploader.codes(("a.bmp", half), ("b.bmp", half)) == [None, None]
    answer = await uploader.answer(("c.bmp", half), ("d.bmp", half + b"\0"))
    assert answer["status"] == 413
    [error] = answer["errors"]
    assert (error["extensions"]["code"], error["extensions"]["details"]) == ("UPLOAD_TOO_LARGE", {"limit": 8_388_608})
    assert await uploader.listed() == ["a.bmp", "b.bmp"]


async def test_nothing_is_written_over(uploader: UploadClient) -> None:
    first = image_bytes()
    await uploader.upload(("cat.png", first))
    assert await uploader.codes(("cat.png", image_bytes())) == ["SAMPLE_ALREADY_EXISTS"]
    payload = await uploader.upload(("cat.png", image_bytes()), ("cat.png", image_bytes()), onConflict="RENAME")
    assert {result["sample"]["path"] for result in payload["results"]} == {"cat-1.png", "cat-2.png"}
    assert await uploader.store.read("cat.png") == first


async def test_a_file_that_lies_there_already_is_not_taken_over(uploader: UploadClient) -> None:
    await uploader.store.write("cat.png", b"a stranger's")
    assert await uploader.codes(("cat.png", image_bytes())) == ["SAMPLE_ALREADY_EXISTS"]
    assert await uploader.store.read("cat.png") == b"a stranger's"


async def test_a_sync_finds_nothing_new_in_what_was_uploaded(uploader: UploadClient, database: Database) -> None:
    from db import jobs
    from db.ingest import job_requests, sync

    await uploader.upload(("a.png", image_bytes()), ("b.jpg", image_bytes(form="JPEG")), labels=["cat"])
    number = int(await database.value("SELECT id FROM dataset"))
    async with database.writing() as session:
        job = await job_requests.start(session, number, sync.Options(), requested_by="ann")
    claim = await jobs.claim(database, 7)
    assert claim is not None
    await sync.run(database, claim, uploader.store)
    async with database.reading() as connection:
        counts = await connection.fetchrow("SELECT added, updated, removed, moved, skipped FROM job WHERE id = $1", job)
    assert counts is not None
    assert tuple(counts) == (0, 0, 0, 0, 0)
    assert await database.value("SELECT revision FROM dataset") == 2
