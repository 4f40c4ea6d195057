"""What an import says of what came to nothing: labels that were mistyped, files that are not what they seem."""

from pathlib import Path

import pytest

from db.postgres.engine import Database
from tests.db import dataset_fixture
from tests.db.annotation_import_fixture import AnnotationImports


@pytest.fixture
async def importer(database: Database, tmp_path: Path) -> AnnotationImports:
    (tmp_path / "images").mkdir()
    importer = AnnotationImports(await dataset_fixture.local(database, tmp_path / "images"), tmp_path)
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
