"""Which sidecar belongs to which image: next to the image, in a directory for labels, in any form of Unicode."""

from collections.abc import Mapping, Sequence
from unicodedata import normalize

import pytest

from db.formats.datasets.readers import READERS
from db.formats.sidecars.pairing import sidecar_stems
from db.postgres.engine import Database
from tests.db import dataset_fixture
from tests.db.dataset_files import read
from tests.db.dataset_fixture import DatasetFixture, counted
from tests.memory_store import MemoryStore

VOC_FILE = (
    "<annotation><object><name>cat</name>"
    "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>5</xmax><ymax>5</ymax></bndbox></object></annotation>"
)
NFC, NFD, MIXED = normalize("NFC", "éclairé"), normalize("NFD", "éclairé"), "éclair" + normalize("NFD", "é")


@pytest.mark.parametrize(
    ("image", "sidecar"),
    [
        ("a.jpg", "a.txt"),
        ("a.jpg", "a.TXT"),
        ("b.jpg", "b.jpg.txt"),
        ("B.JPG", "B.JPG.txt"),
        ("images/a.jpg", "labels/a.txt"),
        ("train/images/a.jpg", "train/labels/a.txt"),
        ("images/train/a.jpg", "labels/train/a.txt"),
        ("images/x/images/a.jpg", "images/x/labels/a.txt"),
        ("JPEGImages/a.jpg", "Annotations/a.txt"),
        ("Images/a.jpg", "Labels/a.txt"),
        ("img/a.jpg", "annotations/a.txt"),
        ("labels/a.jpg", "labels/a.txt"),
        (f"{NFD}.jpg", f"{NFC}.txt"),
        (f"{NFC}.jpg", f"{NFD}.txt"),
        (f"{NFD}/images/{NFC}.jpg", f"{NFC}/labels/{NFD}.txt"),
    ],
)
async def test_a_sidecar_is_found(dataset: DatasetFixture, image: str, sidecar: str) -> None:
    dataset.put(image)
    dataset.put(sidecar, "cat")
    job = await dataset.sync()
    assert await dataset.labels() == {image: ["cat"]}
    assert job["ignored"] == 0
    assert counted(await dataset.sync())


@pytest.mark.parametrize(
    ("image", "sidecar"),
    [
        ("a.jpg", "b.txt"),
        ("a.jpg", "a.png.txt"),
        ("a.jpg", "labels/a.txt"),
        ("images/a.jpg", "other/labels/a.txt"),
        ("images/a.jpg", "a.txt"),
        ("x/a.jpg", "labels/a.txt"),
        ("images/a.jpg", "labels/A.txt"),
    ],
)
async def test_a_sidecar_without_an_image_is_counted(dataset: DatasetFixture, image: str, sidecar: str) -> None:
    dataset.put(image)
    dataset.put(sidecar, "cat")
    job = await dataset.sync()
    assert await dataset.labels() == {image: []}
    assert await dataset.ignored(job["id"]) == {"SIDECAR_WITHOUT_IMAGE": (1, [sidecar])}


async def test_the_nearest_sidecar_counts(dataset: DatasetFixture) -> None:
    dataset.put("images/a.jpg")
    order = ["labels/a.txt", "images/a.jpg.txt", "images/a.txt"]
    for number, sidecar in enumerate(order):
        dataset.put(sidecar, f"label-{number}")
        job = await dataset.sync()
        assert await dataset.labels() == {"images/a.jpg": [f"label-{number}"]}
        overridden = sorted(order[:number])
        assert (await dataset.ignored(job["id"])).get("SIDECAR_OVERRIDDEN", (0, [])) == (number, overridden)


@pytest.mark.parametrize("layout", [("{}.jpg", "{}.txt"), ("{}/a.jpg", "{}/a.txt"), ("images/{}.jpg", "labels/{}.txt")])
async def test_names_that_differ_in_their_form_alone_have_each_its_own_sidecar(
    dataset: DatasetFixture, layout: tuple[str, str]
) -> None:
    image, sidecar = layout
    for form, label in ((NFC, "composed"), (NFD, "decomposed")):
        dataset.put(image.format(form))
        dataset.put(sidecar.format(form), label)
    job = await dataset.sync()
    assert await dataset.labels() == {image.format(NFC): ["composed"], image.format(NFD): ["decomposed"]}
    assert job["ignored"] == 0
    assert counted(await dataset.sync())


@pytest.mark.parametrize(
    ("images", "sidecars", "pairs"),
    [
        ((NFC, NFD), (NFC,), {NFC: NFC}),
        ((NFC, NFD), (NFD,), {NFD: NFD}),
        ((NFC,), (NFC, NFD), {NFC: NFC}),
        ((NFD,), (NFC, NFD), {NFD: NFD}),
        ((MIXED,), (NFC, NFD), {}),
        ((NFC, NFD), (MIXED,), {}),
        ((MIXED,), (NFD,), {MIXED: NFD}),
        ((NFC, MIXED), (NFC, NFD), {NFC: NFC}),
    ],
)
async def test_a_sidecar_is_given_to_no_image_whose_name_is_written_otherwise_if_it_may_be_that_of_another(
    dataset: DatasetFixture, images: Sequence[str], sidecars: Sequence[str], pairs: Mapping[str, str]
) -> None:
    """The readers of imports pair in the same way."""
    forms = {NFC: "composed", NFD: "decomposed", MIXED: "mixed"}
    for form in images:
        dataset.put(f"images/{form}.jpg")
    for form in sidecars:
        dataset.put(f"labels/{form}.txt", forms[form])
    job = await dataset.sync()
    expected = {f"images/{form}.jpg": [forms[pairs[form]]] if form in pairs else [] for form in images}
    assert await dataset.labels() == expected
    unused = sorted(f"labels/{form}.txt" for form in sidecars if form not in pairs.values())
    by_reason = await dataset.ignored(job["id"])
    assert sorted(path for _, paths in by_reason.values() for path in paths) == unused
    files = {f"images/{form}.jpg": "" for form in images} | {f"labels/{form}.txt": forms[form] for form in sidecars}
    records, problems = read(READERS["IMAGE_TEXT"], files, "IMAGE_CLASSIFICATION")
    assert problems == []
    found = {each.path: [label.label for label in each.annotations or ()] for each in records if each.has_suffix}
    assert found == expected
    assert sorted(each.location for each in records if not each.has_suffix) == unused


async def test_images_of_one_name_share_a_sidecar_and_each_may_have_its_own(dataset: DatasetFixture) -> None:
    for path in ("images/a.jpg", "images/a.png", "JPEGImages/a.bmp"):
        dataset.put(path)
    dataset.put("labels/a.txt", "cat")
    dataset.put("images/a.png.txt", "dog")
    job = await dataset.sync()
    assert await dataset.labels() == {"JPEGImages/a.bmp": ["cat"], "images/a.jpg": ["cat"], "images/a.png": ["dog"]}
    assert job["ignored"] == 0


async def test_the_layout_of_pascal_voc_is_read(database: Database) -> None:
    dataset = await _detection(database)
    dataset.put("VOC2012/JPEGImages/a.jpg")
    dataset.put("VOC2012/Annotations/a.xml", VOC_FILE)
    dataset.put("VOC2012/ImageSets/Main/train.txt", "a")
    job = await dataset.sync()
    assert await dataset.labels() == {"VOC2012/JPEGImages/a.jpg": ["cat"]}
    assert await dataset.ignored(job["id"]) == {"SUFFIX .txt": (1, ["VOC2012/ImageSets/Main/train.txt"])}


async def _detection(database: Database) -> DatasetFixture:
    return await dataset_fixture.make(database, MemoryStore(), kind="OBJECT_DETECTION")


@pytest.mark.parametrize("rule", ["STANDARD", "ANY"])
async def test_files_of_yolo_are_reported_once_each_and_make_no_labels(dataset: DatasetFixture, rule: str) -> None:
    await dataset.set_up(label_names=rule)
    lines = ["0 0.5 0.5 0.1 0.1", "12 0.1 0.2 0.3 0.4\n3 1 0 .5 1e-3\n\n", "1\t0.1 0.1 0.2 0.1 0.2 0.2 0.1 0.2\r\n"]
    for number, text in enumerate(lines):
        dataset.put(f"images/{number}.jpg")
        dataset.put(f"labels/{number}.txt", text)
    dataset.put("images/index.jpg")
    dataset.put("labels/index.txt", "7")
    job = await dataset.sync()
    assert await dataset.labels() == {
        "images/0.jpg": [],
        "images/1.jpg": [],
        "images/2.jpg": [],
        "images/index.jpg": ["7"],
    }
    warnings = await dataset.warnings(job["id"])
    assert [path for path, _ in warnings] == ["labels/0.txt", "labels/1.txt", "labels/2.txt"]
    assert all("YOLO" in message for _, message in warnings)


def test_where_sidecars_may_lie_and_whom_they_serve() -> None:
    stems = sidecar_stems("x/images/a.jpg")
    assert stems["x/images/a"] == {"x/images/a"}
    assert stems["x/images/a.jpg"] == {"x/images/a.jpg"}
    assert {"x/labels/a", "x/images/a", "x/JPEGImages/a"} <= stems["x/labels/a"]
    assert set(sidecar_stems(f"{NFD}.jpg")) == {NFD, NFC, f"{NFD}.jpg", f"{NFC}.jpg"}
    assert sidecar_stems(f"{NFD}.jpg")[NFC] == {NFD, NFC}
