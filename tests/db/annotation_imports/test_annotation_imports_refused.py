"""Dry runs of imports, what is refused, and what comes to nothing."""

import json
import zipfile

import pytest

from db.formats.datasets.readers import grouping
from tests.db.annotation_import_fixture import (
    BEYOND,
    AnnotationImports,
    coco,
    counted,
    everything,
)
from tests.db.dataset_fixture import image_bytes


async def test_a_dry_run_says_what_the_import_then_does_and_changes_nothing(
    importer: AnnotationImports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("db.ingest.imports.stages.BATCH", 2)
    await importer.dataset.set_up(type="OBJECT_DETECTION")
    importer.put("1.png", "2.png", "a/3.png", "4.png")
    await importer.dataset.sync()
    await importer.dataset.label_by_hand("4.png", "old")
    importer.put("new.png")
    cat: list[tuple[str, list[float]]] = [("cat", [1, 2, 30, 40])]
    images = [("1.png", cat), ("2.png", BEYOND), ("3.png", cat), ("4.png", cat), ("new.png", cat), ("none.png", cat)]
    file = importer.write("coco.json", coco(*images, ("1.png", [("no label!", [1.0, 2, 3, 4])])))
    before = await everything(importer)
    dry = await importer.load(file, dry_run=True)
    assert await everything(importer) == before
    job = await importer.load(file)
    assert (dry["is_dry_run"], job["is_dry_run"]) == (True, False)
    assert counted(dry) == counted(job) == {
        "scanned": 7, "added": 1, "updated": 3, "labeled": 4, "skipped": 2,
        "matched": 4, "kept": 1, "missing": 1, "beyond": 1,
    }  # fmt: skip
    assert await importer.notices(dry) == await importer.notices(job)
    assert await importer.new_labels(dry) == await importer.new_labels(job) == {"cat": (4, 4), "dog": (1, 1)}
    assert await importer.dataset.warnings(dry["id"]) == await importer.dataset.warnings(job["id"])


async def test_a_dry_run_of_a_manifest_copies_no_image(importer: AnnotationImports) -> None:
    (importer.folder / "else").mkdir()
    for number in range(3):
        (importer.folder / "else" / f"{number}.png").write_bytes(image_bytes())
    importer.put("2.png")
    await importer.dataset.sync()
    entry = {"name": "cat", "type": "modelarts/image_classification"}
    lines = [{"source": f"{importer.folder}/else/{number}.png", "annotation": [entry]} for number in range(3)]
    file = importer.write("V1.manifest", "\n".join(map(json.dumps, lines)))
    before = await everything(importer)
    dry = await importer.load(file, dry_run=True, mapped={"cat": "Cat"})
    assert (await everything(importer), [each.name for each in (importer.folder / "images").iterdir()]) == (
        before,
        ["2.png"],
    )
    job = await importer.load(file, mapped={"cat": "Cat"})
    assert counted(dry) == counted(job) == {"scanned": 3, "added": 3, "labeled": 3}
    assert await importer.dataset.labels() == {"0.png": ["Cat"], "1.png": ["Cat"], "2.png": [], "2-1.png": ["Cat"]}
    assert await importer.new_labels(dry) == await importer.new_labels(job) == {"Cat": (3, 3)}


NO_FORMAT: dict[str, tuple[str | bytes, str | None, str]] = {
    "rubbish.json": (b"\xff\xfe" * 100, "COCO", "VALIDATION_FAILED"),
    "cut.json": ('{"images": [{"id": 1, "file_name": "1.png"}], "annotations": [', "COCO", "VALIDATION_FAILED"),
    "other.json": ('{"sizes": []}', "COCO", "VALIDATION_FAILED"),
    "unknown.json": ('{"sizes": []}', None, "VALIDATION_FAILED"),
    "unknown.bin": (b"\0" * 100, None, "VALIDATION_FAILED"),
    "labels.csv": ('path,label\n"1.png,cat\n', "CSV", "VALIDATION_FAILED"),
    "bare.xml": ("<annotation>", "YOLO", "VALIDATION_FAILED"),
    "broken.zip": (b"PK\x03\x04rubbish", None, "VALIDATION_FAILED"),
}


@pytest.mark.parametrize("name", NO_FORMAT)
async def test_what_is_no_such_format_fails_in_a_sentence_and_changes_nothing(
    importer: AnnotationImports, name: str
) -> None:
    importer.put("1.png")
    await importer.dataset.sync()
    content, form, code = NO_FORMAT[name]
    job = await importer.load(importer.write(name, content), format=form)
    assert (job["status"], job["error_code"]) == ("FAILED", code)
    assert len(await importer.dataset.changes()) == 1
    assert await importer.dataset.rows("SELECT FROM import_line") == []


async def test_an_import_without_space_for_temporary_files_says_so(
    importer: AnnotationImports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grouping, "TABLES", f"PRAGMA max_page_count = 10; {grouping.TABLES}")
    lines = "".join(f"{number}.png,cat\n" for number in range(5_000))
    job = await importer.load(importer.write("labels.csv", f"path,label\n{lines}"))
    assert (job["status"], job["error_code"]) == ("FAILED", "STORAGE_ERROR")
    assert "temporary files" in job["error_message"]


async def test_a_line_that_makes_no_sense_is_reported_and_the_others_are_imported(importer: AnnotationImports) -> None:
    importer.put("1.png", "2.png")
    await importer.dataset.sync()
    lines = ['{"path": "1.png", "label": "cat"}', "no JSON", '{"label": "cat"}', '{"path": "2.png", "label": "dog"}']
    job = await importer.load(importer.write("labels.jsonl", "\n".join(lines)))
    assert await importer.dataset.labels() == {"1.png": ["cat"], "2.png": ["dog"]}
    assert [path for path, _ in await importer.dataset.warnings(job["id"])] == ["labels.jsonl:2", "labels.jsonl:3"]
    count, examples = (await importer.notices(job))["CONTENT"]
    assert (count, examples[0]) == (2, "labels.jsonl:2: The line is not a JSON object.")


async def test_of_each_kind_of_notice_a_few_are_examples(importer: AnnotationImports) -> None:
    importer.put("1.png")
    await importer.dataset.sync()
    lines = "".join(f"{number}.png,cat\n" for number in range(10, 40))
    job = await importer.load(importer.write("labels.csv", f"path,label\n{lines}"))
    count, examples = (await importer.notices(job))["IMAGE_MISSING"]
    assert (job["missing"], count, len(examples)) == (30, 30, 10)
    assert examples[0].startswith("labels.csv:2: `10.png`: There is no sample")


async def test_a_file_that_is_gone_fails(importer: AnnotationImports) -> None:
    job = await importer.load(importer.folder / "gone.csv")
    assert (job["status"], job["error_code"]) == ("FAILED", "INVALID_PATH")


async def test_an_import_that_comes_to_nothing_says_why(importer: AnnotationImports) -> None:
    importer.put("1.png")
    await importer.dataset.sync()
    job = await importer.load(importer.write("labels.csv", "path,label\n"))
    assert await importer.notices(job) == {"NO_IMAGES": (1, ["labels.csv: The files name no image."])}
    job = await importer.load(importer.write("empty.manifest", ""), format="MODELARTS_MANIFEST")
    assert await importer.notices(job) == {"NO_IMAGES": (1, ["empty.manifest: The files name no image."])}
    job = await importer.load(importer.write("1.txt", ""), format="IMAGE_TEXT")
    assert await importer.notices(job) == {"NO_LABELS": (1, ["1.txt: `1.png` gets no label, and stays as it is."])}
    archive = importer.folder / "set.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("cat/new.png", image_bytes())
        packed.writestr("cat/1.png", image_bytes())
    job = await importer.load(archive, format="IMAGE_FOLDER")
    notices = await importer.notices(job)
    assert notices.pop("IMAGES_NOT_STORED") == (2, ["set.zip: `cat/1.png`"])
    assert set(notices) == {"IMAGE_MISSING", "MATCHED_BY_NAME"}
