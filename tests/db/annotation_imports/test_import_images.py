"""`images: STORE`: an import that brings its images."""

import io
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from db.formats.images import ImageLimits
from tests.db.annotation_import_fixture import AnnotationImports, counted, everything, pack
from tests.db.dataset_fixture import image_bytes

Files = dict[str, bytes]
PATHS = ("train/cat/1.png", "train/dog/2.jpg", "val/cat/3.bmp")
IMAGES: Files = {
    path: image_bytes(color, form=form)
    for path, color, form in zip(PATHS, ("red", "green", "blue"), ("PNG", "JPEG", "BMP"), strict=True)
}
LABELS = {path: [path.split("/")[1]] for path in PATHS}


def stored(importer: AnnotationImports) -> Files:
    root = importer.folder / "images"
    return {str(file.relative_to(root)): file.read_bytes() for file in root.rglob("*") if file.is_file()}


def folder_of(importer: AnnotationImports, files: Files, name: str = "set") -> Path:
    for path, data in files.items():
        importer.write(f"{name}/{path}", data)
    return importer.folder / name


def shard(members: Files, mode: Any) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as tar:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return out.getvalue()


def web_dataset(mode: Any, parts: Sequence[Sequence[str]] = (PATHS[:2], PATHS[2:])) -> Files:
    """Shards, whose images say their paths."""
    shards = []
    for paths in parts:
        members: Files = {}
        for number, path in enumerate(paths):
            members[f"{number}{path[-4:]}"] = IMAGES[path]
            members[f"{number}.json"] = json.dumps({"path": path, "label": LABELS[path][0]}).encode()
        shards.append(shard(members, mode))
    end = "tgz" if mode == "w:gz" else "tar"
    return {f"{number}.{end}": data for number, data in enumerate(shards)}


def parquet() -> Files:
    rows = [{"image": {"bytes": data, "path": path}, "label": LABELS[path][0]} for path, data in IMAGES.items()]
    out = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), out, row_group_size=2)
    return {"train-0.parquet": out.getvalue()}


SOURCES: dict[str, tuple[str, Files, str | None]] = {
    "a folder": ("IMAGE_FOLDER", IMAGES, None),
    "a zip": ("IMAGE_FOLDER", IMAGES, "zip"),
    "a tar": ("IMAGE_FOLDER", IMAGES, "tar"),
    "a tar.gz": ("IMAGE_FOLDER", IMAGES, "tar.gz"),
    "Parquet": ("PARQUET", parquet(), None),
    "Parquet in a zip": ("PARQUET", parquet(), "zip"),
    "WebDataset": ("WEBDATASET", web_dataset("w"), None),
    "WebDataset, compressed": ("WEBDATASET", web_dataset("w:gz"), None),
    "one file of WebDataset": ("WEBDATASET", web_dataset("w", [PATHS]), "0.tar"),
    "the same, compressed": ("WEBDATASET", web_dataset("w:gz", [PATHS]), "0.tgz"),
    "one file of WebDataset, whose members have the paths": (
        "WEBDATASET",
        {"x.tar": shard({**IMAGES, **{path[:-4] + ".cls": LABELS[path][0].encode() for path in PATHS}}, "w")},
        "x.tar",
    ),
}


@pytest.mark.parametrize("kind", SOURCES)
async def test_images_are_stored_with_their_labels_once(importer: AnnotationImports, kind: str) -> None:
    form, files, packed = SOURCES[kind]
    path = folder_of(importer, files)
    path = path / packed if packed in files else pack(path, packed) if packed else path
    before = await everything(importer)
    dry = await importer.load(path, images="STORE", dry_run=True)
    assert (await everything(importer), stored(importer)) == (before, {})
    job = await importer.load(path, images="STORE")
    assert (job["status"], job["format"], job["error_message"]) == ("SUCCEEDED", form, None)
    assert counted(dry) == counted(job) == {"scanned": 3, "added": 3, "labeled": 3}
    assert (stored(importer), await importer.dataset.labels()) == (IMAGES, LABELS)
    assert await importer.dataset.warnings(job["id"]) == []
    again = await importer.load(path, images="STORE")
    assert (counted(again), len(await importer.dataset.changes())) == ({"scanned": 3, "matched": 3}, 1)
    assert (await importer.dataset.sync())["added"] == 0


async def test_images_of_parquet_in_the_input_path_are_stored_beside_it(importer: AnnotationImports) -> None:
    for name, data in parquet().items():
        importer.dataset.put(f"sets/{name}", data)
    job = await importer.load(importer.folder / "images" / "sets", images="STORE")
    assert counted(job) == {"scanned": 3, "added": 3, "labeled": 3}
    assert await importer.dataset.labels() == {f"sets/{path}": labels for path, labels in LABELS.items()}


async def test_what_is_there_is_matched_or_kept_and_never_overwritten(importer: AnnotationImports) -> None:
    same, other = image_bytes("red"), image_bytes("green")
    for there in ("a/same.png", "x/alike.png", "y/else.png"):
        importer.dataset.put(there, same)
    await importer.dataset.sync()
    importer.dataset.put("a/file.png", same)
    importer.dataset.put("a/differs.png", other)
    names = ("same", "alike", "else", "file", "differs")
    images = {f"a/{name}.png": other if name == "else" else same for name in names}
    text = "path,label\n" + "".join(f"{name}.png,cat\n" for name in names)
    path = pack(folder_of(importer, {**images, "labels.csv": text.encode()}), "zip")
    before = stored(importer)
    dry = await importer.load(path, images="STORE", dry_run=True)
    job = await importer.load(path, images="STORE")
    assert stored(importer) == before | {"a/else.png": other}
    labels = await importer.dataset.labels()
    labelled = ("a/same.png", "x/alike.png", "a/file.png", "a/else.png")
    assert labels == {path: ["cat"] for path in labelled} | {"y/else.png": []}
    assert {kind: count for kind, (count, _) in (await importer.notices(job)).items()} == {
        "MATCHED_BY_NAME": 1,
        "IMAGE_DIFFERS": 1,
    }
    assert await importer.notices(dry) == await importer.notices(job)
    assert counted(dry) == counted(job) == {
        "scanned": 5, "added": 2, "updated": 2, "labeled": 4, "matched": 2, "skipped": 1,
    }  # fmt: skip


WHOLE = image_bytes("red", size=(60, 50), form="JPEG")
REFUSED: dict[str, tuple[bytes, str]] = {
    "cut.jpg": (WHOLE[: len(WHOLE) // 2], "truncated"),
    "text.png": (b"no image", "this file is not one"),
    "jpeg.png": (WHOLE, "rename it"),
    "large.png": (image_bytes("red", size=(30, 20)) + bytes(30_000), "at most"),
    "archive.jpg": (WHOLE + b"PK\x03\x04", "other data"),
    "skipped/1.png": (image_bytes("blue"), "patterns exclude"),
    "small.webp": (image_bytes("blue", form="WEBP"), "This is a WebP image; the dataset takes JPEG, PNG and BMP"),
    "a\u202egpj.png": (image_bytes("grey"), "reverses"),
    "taken/1.png": (image_bytes("grey"), "Another file"),
}


async def test_images_are_checked_as_uploads_are(importer: AnnotationImports) -> None:
    await importer.dataset.do("UPDATE dataset SET exclude = '{skipped/**}'")
    importer.dataset.put("taken", "a file where a directory is needed")
    importer.limits = ImageLimits(size=20_000)
    good = {"Good.png": image_bytes("red"), "good.png": image_bytes("blue")}
    files = {**{name: data for name, (data, _) in REFUSED.items()}, **good}
    lines = "".join(f"{name},cat\n" for name in files)
    path = pack(folder_of(importer, {**files, "labels.csv": f"path,label\n{lines}".encode()}), "tar.gz")
    job = await importer.load(path, images="STORE")
    del (found := stored(importer))["taken"]
    assert (found, await importer.dataset.labels()) == (good, {path: ["cat"] for path in good})
    warnings = dict(await importer.dataset.warnings(job["id"]))
    for number, (name, (_, word)) in enumerate(REFUSED.items(), start=2):
        assert word in warnings.pop(f"labels.csv:{number}"), name
    assert warnings == {"labels.csv:12": "`good.png` is `Good.png` but for the case of letters."}
    notices = {kind: count for kind, (count, _) in (await importer.notices(job)).items()}
    assert notices == {"CONTENT": 1, "IMAGE_EXCLUDED": 1, "IMAGE_UNREADABLE": 6, "IMAGE_DIFFERS": 1}


BEFORE, CAFE, DECOMPOSED = "images/default/b.png", "caf\u00e9.png", "cafe\u0301.png"
COLORS = ("red", "green", "blue")


def coco(name: str, label: str) -> bytes:
    found = {"images": [{"id": 1, "file_name": name}], "categories": [{"id": 1, "name": label}]}
    return json.dumps(found | {"annotations": [{"image_id": 1, "category_id": 1}]}).encode()


def cvat(*images: tuple[str, str | None]) -> bytes:
    """Each with its number as its label."""
    elements = (
        f"<image name='{name}' subset='{subset or ''}'><tag label='{number}'/></image>"
        for number, (name, subset) in enumerate(images)
    )
    return f"<annotations>{''.join(elements)}</annotations>".encode()


TWINS: dict[str, tuple[Files, Sequence[str], dict[str, tuple[str, str]]]] = {
    "what CVAT says of a subset is in its folder": (
        {"annotations.xml": cvat(("val/b.png", "train"), ("b.png", "val"))},
        ("images/train/val/b.png", "images/val/b.png"),
        {"val/b.png": ("red", "0"), "b.png": ("green", "1")},
    ),
    "and else not": (
        {"annotations.xml": cvat(("b.png", "train"), ("b.png", "test"), ("b.png", None))},
        ("images/train/b.png", "images/test/b.png", "images/b.png"),
        {"b.png": ("red", "0"), "images/test/b.png": ("green", "1"), "images/b.png": ("blue", "2")},
    ),
    "a path is that of the file which has it": (
        {"annotations/instances_default.json": coco("b.png", "0"), "instances_x.json": coco("b.png", "1")},
        (BEFORE, "b.png"),
        {BEFORE: ("red", "0"), "b.png": ("green", "1")},
    ),
    "composed": ({"labels.csv": f"path,label\n{CAFE},0".encode()}, (DECOMPOSED, CAFE), {CAFE: ("green", "0")}),
    "decomposed": ({"labels.csv": f"path,label\n{DECOMPOSED},0".encode()}, (DECOMPOSED, CAFE), {CAFE: ("red", "0")}),
    "composed, where the layout says": (
        {"annotations/instances_default.json": coco(CAFE, "0")},
        (f"images/default/{DECOMPOSED}", f"images/default/{CAFE}"),
        {CAFE: ("green", "0")},
    ),
    "composed, by the end": (
        {"a.csv": f"path,label\nx/{CAFE},0".encode()}, (f"y/{DECOMPOSED}", f"y/{CAFE}"), {f"y/{CAFE}": ("green", "0")}
    ),
    "composed, of label files": (
        {"caf\u00e9.txt": b"0", "cafe\u0301.txt": b"1"}, (DECOMPOSED, CAFE), {CAFE: ("red", "1")}
    ),
    "a label file of one of them": ({"caf\u00e9.txt": b"0"}, (DECOMPOSED, CAFE), {CAFE: ("green", "0")}),
    "a label file composed in another way": ({"caf\u00e9.txt": b"0"}, (DECOMPOSED,), {CAFE: ("red", "0")}),
}  # fmt: skip


@pytest.mark.parametrize("kind", TWINS)
async def test_images_of_one_name_get_their_own_labels(importer: AnnotationImports, kind: str) -> None:
    said, names, expected = TWINS[kind]
    files = {name: image_bytes(color) for name, color in zip(names, COLORS, strict=False)}
    await importer.load(pack(folder_of(importer, files | said), "zip"), images="STORE")
    assert stored(importer) == {path: image_bytes(color) for path, (color, _) in expected.items()}
    assert await importer.dataset.labels() == {path: [label] for path, (_, label) in expected.items()}


async def test_images_of_one_name_that_are_there_get_their_own_labels(importer: AnnotationImports) -> None:
    """As files, and as samples; of a sample alone the form does not matter."""
    importer.put(DECOMPOSED, CAFE)
    for name, labels in {"1.csv": ("cat", "dog"), "2.csv": ("dog", "cat")}.items():
        lines = "\n".join(("path,label", *map(",".join, zip((CAFE, DECOMPOSED), labels, strict=True))))
        await importer.load(importer.write(name, lines), existing="OVERWRITE")
        assert await importer.dataset.labels() == {CAFE: [labels[0]], DECOMPOSED: [labels[1]]}
    importer.put("o\u0308.png")
    await importer.load(importer.write("3.csv", "path,label\no\u0308.png,cat"))
    await importer.load(importer.write("4.csv", "path,label\n\u00f6.png,dog"), existing="OVERWRITE")
    assert (await importer.dataset.labels())["o\u0308.png"] == ["dog"]


async def test_of_names_that_differ_in_their_composition_none_is_guessed(importer: AnnotationImports) -> None:
    """`\u1e69` has two marks, and so three forms."""
    files = {"s\u0323\u0307.png": image_bytes("red"), "\u1e61\u0323.png": image_bytes("green")}
    path = pack(folder_of(importer, files | {"labels.csv": "path,label\n\u1e69.png,cat".encode()}), "zip")
    notices = await importer.notices(await importer.load(path, images="STORE"))
    assert (list(notices), stored(importer)) == (["IMAGE_AMBIGUOUS"], {})


async def test_two_lines_never_mean_one_image(importer: AnnotationImports) -> None:
    files = {"a/1.png": image_bytes("red"), "b/2.png": image_bytes("green"), "caf\u00e9.png": image_bytes("blue")}
    files["cafe\u0301.png"] = image_bytes("grey")
    lines = ("x/1.png,cat", "y/1.png,dog", "b/2.png,cat", "z/2.png,dog", "caf\u00e9.png,cat", "cafe\u0301.png,dog")
    path = pack(folder_of(importer, {**files, "labels.csv": "\n".join(("path,label", *lines)).encode()}), "zip")
    job = await importer.load(path, images="STORE")
    assert await importer.dataset.labels() == {"b/2.png": ["cat"], "caf\u00e9.png": ["cat"]}
    assert {kind: count for kind, (count, _) in (await importer.notices(job)).items()} == {
        "IMAGE_AMBIGUOUS": 3,
        "IMAGE_REPEATED": 1,
    }


async def test_a_failed_import_warns_of_what_was_passed_over(importer: AnnotationImports) -> None:
    """Whether its format is not found, or its reader finds nothing of the format that was said."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, kind in (("1.png", tarfile.SYMTYPE), ("2.png", tarfile.LNKTYPE), ("../3.png", tarfile.REGTYPE)):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "/etc/passwd"
            archive.addfile(member)
    path = importer.write("links.tar", out.getvalue())
    cases: list[tuple[dict[str, Any], str]] = [({}, "No format"), ({"format": "COCO"}, "no file of JSON")]
    for options, message in cases:
        job = await importer.load(path, images="STORE", **options)
        assert job["status"] == "FAILED"
        assert message in job["error_message"]
        warnings = await importer.dataset.warnings(job["id"])
        assert [(where, text.split("`")[1]) for where, text in warnings] == [
            ("links.tar", name) for name in ("1.png", "2.png", "../3.png")
        ]
        assert {kind: count for kind, (count, _) in (await importer.notices(job)).items()} == {"CONTENT": 3}
