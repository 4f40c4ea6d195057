"""Images as they come from phones, scanners and broken transfers, through the whole server: synced, uploaded, shown."""

import io
import zlib
from pathlib import Path

import httpx2
from PIL import Image

from api.settings import Settings
from db.storage import LocalStore
from tests.api.test_app import CREATE, followed
from tests.api.uploads.upload_client import UploadClient
from tests.client import Client
from tests.db.images import EXIF, XMP, jpeg, noise_image, oriented, png, raw_profile, xmp
from tests.db.test_images_modes import FILM, raw_png

PHOTO = noise_image(size=(640, 480))
WIDE = b"".join(value.to_bytes(2, "big") for value in range(0, 65_536, 55))[:2_400].ljust(2_400, b"\xff")
RAW = zlib.compress(raw_profile(EXIF + oriented(6)))
CUT = jpeg(image=PHOTO)
FILES = {
    "behind.png": png([], [(b"eXIf", oriented(6))], PHOTO),
    "cut.jpg": CUT[: len(CUT) * 6 // 10],
    "deep.png": raw_png((1_200, 900), 16, 0, WIDE),
    "endless.jpg": CUT[:-2],
    "film.jpg": CUT + FILM,
    "profile.png": png([(b"iCCP", b"profile\0\0" + zlib.compress(bytes(1_258_291)))], (), PHOTO),
    "raw.png": png([(b"zTXt", b"Raw profile type exif\0\0" + RAW)], (), PHOTO),
    "text.png": png([(b"tEXt", b"comment\0hello")], (), PHOTO).replace(b"hello", b"hullo"),
    "turned.jpg": jpeg((0xE1, EXIF + oriented(6)), image=PHOTO),
    "xmp.jpg": jpeg((0xE1, XMP + xmp(6)), image=PHOTO),
    "xmp.png": png([(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp(6))], (), PHOTO),
}
PAGE = """query ($id: ID!, $filter: SampleFilter) { dataset(by: {id: $id}) {
    samples(first: 100, orderBy: {field: PATH}, filter: $filter) { totalCount nodes {
        path width height orientation isDamaged imageUrl thumbnailUrl(size: 64) } } } }"""


async def made(client: Client, folder: Path) -> str:
    created = await client.execute(CREATE, {"path": str(folder.resolve())})
    dataset: str = created["createDataset"]["dataset"]["id"]
    assert (await followed(client, dataset))[-1]["status"] == "SUCCEEDED"
    return dataset


async def test_a_sync_takes_them_and_shows_each_as_a_browser_does(client: Client, tmp_path: Path) -> None:
    folder = tmp_path / "odd"
    folder.mkdir()
    for name, data in FILES.items():
        (folder / name).write_bytes(data)
    dataset = await made(client, folder)
    samples = (await client.execute(PAGE, {"id": dataset}))["dataset"]["samples"]["nodes"]
    assert {each["path"]: (each["orientation"], each["isDamaged"]) for each in samples} == {
        name: (6 if name == "turned.jpg" else 1, name == "cut.jpg") for name in FILES
    }
    async with httpx2.AsyncClient() as browser:
        for sample in samples:
            shown, whole = [await browser.get(sample[url]) for url in ("thumbnailUrl", "imageUrl")]
            assert (shown.status_code, whole.status_code) == (200, 200), sample["path"]
            assert whole.content == FILES[sample["path"]]
            size = (48, 64) if sample["path"] == "turned.jpg" else (64, 48)
            assert Image.open(io.BytesIO(shown.content)).size == size


async def test_damaged_samples_are_found_by_a_filter_and_told_by_a_warning(client: Client, tmp_path: Path) -> None:
    folder = tmp_path / "odd"
    folder.mkdir()
    for name in ("cut.jpg", "film.jpg", "endless.jpg"):
        (folder / name).write_bytes(FILES[name])
    dataset = await made(client, folder)
    for damaged, paths in ((True, ["cut.jpg"]), (False, ["endless.jpg", "film.jpg"])):
        found = await client.execute(PAGE, {"id": dataset, "filter": {"isDamaged": damaged}})
        assert [each["path"] for each in found["dataset"]["samples"]["nodes"]] == paths
        assert found["dataset"]["samples"]["totalCount"] == len(paths)
    warnings = (
        "query ($id: ID!) { dataset(by: {id: $id}) { jobs(first: 1) { nodes { ... on SyncJob { warnings(first: 9) {"
    )
    answer = await client.execute(warnings + " nodes { path message } } } } } } }", {"id": dataset})
    [warning] = answer["dataset"]["jobs"]["nodes"][0]["warnings"]["nodes"]
    assert (warning["path"], "image file is truncated" in warning["message"]) == ("cut.jpg", True)
    label = """mutation ($id: ID!) { labelSamples(input: {
        datasetId: $id, select: {filter: {isDamaged: true}}, labels: ["broken"], createMissing: true
    }) { changedCount } }"""
    assert (await client.execute(label, {"id": dataset}))["labelSamples"]["changedCount"] == 1
    publish = "mutation ($id: ID!) { publishVersion(input: {datasetId: $id}) { version { id } } }"
    version = (await client.execute(publish, {"id": dataset}))["publishVersion"]["version"]["id"]
    page = "query ($id: ID!) { node(id: $id) { ... on Version { samples(filter: {isDamaged: true}) { totalCount } } } }"
    assert (await client.execute(page, {"id": version}))["node"]["samples"]["totalCount"] == 1


async def test_an_upload_takes_all_but_what_ends_early(client: Client, settings: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    uploader = UploadClient(client, LocalStore(folder), settings, await made(client, folder))
    for name, data in FILES.items():
        assert await uploader.codes((name, data)) == ["IMAGE_UNREADABLE" if name == "cut.jpg" else None], name
