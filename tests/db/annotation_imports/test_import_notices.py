"""What an import says of what came to nothing: labels that were mistyped, files that are not what they seem."""

import io
import zipfile
from types import SimpleNamespace
from typing import cast

import pytest

from db.formats.datasets.reading import Files
from db.ingest.imports.files.passed_over import ReadFiles
from tests.db.annotation_import_fixture import AnnotationImports


@pytest.fixture
async def importer(importer: AnnotationImports) -> AnnotationImports:
    importer.put("1.png", "2.png")
    await importer.dataset.sync()
    return importer


async def test_labels_that_no_annotation_of_the_files_has_are_named(importer: AnnotationImports) -> None:
    file = importer.write("labels.csv", "path,label\n1.png,cat\n2.png,dog\n")
    names = {"included": ["cat", "dgo"], "excluded": ["brid", "dog"], "mapped": {"kat": "cat", "dog": "hound"}}
    job = await importer.load(file, **names)
    assert await importer.notices(job) == {
        "LABEL_NOT_IN_FILES": (
            3,
            [
                "labels.csv: `labels.exclude` names `brid`, which no annotation has.",
                "labels.csv: `labels.include` names `dgo`, which no annotation has.",
                "labels.csv: `labels.map` names `kat`, which no annotation has.",
            ],
        )
    }
    assert await importer.dataset.labels() == {"1.png": ["cat"], "2.png": []}


async def test_labels_that_no_line_of_a_manifest_has_are_named(importer: AnnotationImports) -> None:
    entry = {"name": "cat", "type": "modelarts/image_classification"}
    line = {"source": f"{importer.folder}/images/1.png", "annotation": [entry]}
    job = await importer.load(importer.write("x.manifest", line), format="MODELARTS_MANIFEST", included=["cat", "kat"])
    assert await importer.notices(job) == {
        "LABEL_NOT_IN_FILES": (1, ["x.manifest: `labels.include` names `kat`, which no annotation has."])
    }


async def test_a_usage_that_is_none_is_a_notice_of_its_own(importer: AnnotationImports) -> None:
    file = importer.write("labels.jsonl", '{"path": "1.png", "label": "cat", "split": "trian"}\n')
    message = "labels.jsonl:1: `split` must be train, val, test or inference, and is 'trian'; it was ignored."
    assert await importer.notices(await importer.load(file)) == {"USAGE_UNKNOWN": (1, [message])}
    assert await importer.dataset.labels() == {"1.png": ["cat"], "2.png": []}
    line = {"source": f"{importer.folder}/images/2.png", "usage": "trian"}
    job = await importer.load(importer.write("x.manifest", line), format="MODELARTS_MANIFEST")
    message = "x.manifest:1: `usage` must be one of TRAIN, EVAL, TEST, INFERENCE; it was ignored."
    assert (await importer.notices(job))["USAGE_UNKNOWN"] == (1, [message])


@pytest.mark.parametrize("dry_run", [True, False])
async def test_an_import_of_which_nothing_comes_says_so(importer: AnnotationImports, dry_run: bool) -> None:
    file = importer.write("labels.csv", "path,label\n1.png,cat\n2.png,cat\n")
    left_out = await importer.load(file, excluded=["cat"], dry_run=dry_run)
    assert list(await importer.notices(left_out)) == ["NOTHING_CHANGED"]
    assert await importer.notices(await importer.load(file)) == {}
    again = await importer.load(file, dry_run=dry_run)
    [(kind, (count, [example]))] = (await importer.notices(again)).items()
    assert (kind, count) == ("NOTHING_CHANGED", 1)
    assert example.startswith("labels.csv: All samples are as the files say already")


PACKED = io.BytesIO()
with zipfile.ZipFile(PACKED, "w") as archive:
    archive.writestr("inner.zip", b"PK\x03\x04")

NOT_WHAT_IT_SAYS = {
    "empty.csv": (b"", "`empty.csv` is empty: there is nothing in it."),
    "labels.zip": (b"path,label\n", "`labels.zip` is no zip archive, as its name says."),
    "set.tar.gz": (b"path,label\n", "`set.tar.gz` is not compressed by gzip, as its name says."),
    "set.7z": (b"7z\xbc\xaf\x27\x1c", "`set.7z` is an archive of 7-Zip, which is not read"),
    "set.rar": (b"Rar!\x1a\x07\0", "`set.rar` is an archive of RAR, which is not read"),
    "set.tar.xz": (b"\xfd7zXZ\0", "`set.tar.xz` is compressed by xz, which is not read"),
    "other.7z": (b"path,label\n", "`other.7z` is not an archive of 7-Zip, as its name says"),
    "labels.xlsx": (PACKED.getvalue(), "`labels.xlsx` is a spreadsheet, which is not read; save it as CSV."),
    "outer.zip": (PACKED.getvalue(), "`inner.zip` is packed itself, and is not opened within a folder or an archive"),
}


@pytest.mark.parametrize("name", NOT_WHAT_IT_SAYS)
async def test_a_file_that_is_not_what_it_says_is_refused_in_a_true_sentence(
    importer: AnnotationImports, name: str
) -> None:
    content, message = NOT_WHAT_IT_SAYS[name]
    job = await importer.load(importer.write(name, content))
    assert (job["status"], job["error_message"][: len(message)]) == ("FAILED", message)


async def test_files_that_are_passed_over_are_named(importer: AnnotationImports) -> None:
    images = {"images": [{"id": 1, "file_name": "1.png"}], "annotations": [], "categories": []}
    importer.write("set/a.json", images)
    for name in ("b.csv", "README.md", "3.png"):
        importer.write(f"set/{name}", "path,label\n1.png,cat\n")
    notices = await importer.notices(await importer.load(importer.folder / "set"))
    assert notices["FILES_NOT_READ"] == (1, ["set: `b.csv` is not read as COCO."])


def test_what_our_exports_have_beside_the_labels_is_no_other_format() -> None:
    names = ("ImageSets/Main/default.txt", "a.cls", "labelmap.txt", "x.csv")
    files = cast(Files, SimpleNamespace(names=lambda: names))
    assert ReadFiles(files).passed_over(9, "PASCAL_VOC") == (["a.cls", "x.csv"], 2)
    assert ReadFiles(files).passed_over(9, "WEBDATASET") == ([*names[::2], "x.csv"], 3)
