"""Exports of what somebody named to do harm, in every format."""

from collections import Counter
from xml.etree import ElementTree as ET

import pytest

from db.formats.annotations import Author, ParsedAnnotation
from db.formats.datasets import FORMATS, names
from db.formats.datasets.readers import READERS
from db.formats.shapes import BoundingBox, Polygon, Position
from tests.db.dataset_files import read
from tests.db.exported import export, image
from tests.db.test_exported_names import is_harmless
from tests.db.test_formats_round_trip import READ_AS, tarred

LABELS = (
    *("..", "../../etc/passwd", "a/b", "a\\b", "C:\\x", "con", "AUX.txt", "cat", "CAT", ".hidden", "-rf"),
    *(
        '"',
        "'",
        "<&>]]>",
        "&lt;",
        "=1+1",
        "@x",
        "%s {0} ${HOME}",
        "a: b",
        "- a",
        "#",
        "~",
        "null",
        "1e3",
        "yes",
        "{}",
        "[1]",
    ),
    *("😀", "猫" * 32, "a\u200db", "é", "x" * 64, "a,b;c", "a  b", "images", "data.yaml"),
)
PATHS = (
    *(
        "../x.jpg",
        "..\\y.jpg",
        "a\nb.jpg",
        "a\tb/c.jpg",
        '"q".jpg',
        "'.jpg",
        "<&>.jpg",
        "=1+1.jpg",
        "😀/é.png",
        "e\u0301.png",
    ),
    *(
        "con.jpg",
        "aux/x.png",
        "nul.png",
        "a.jpg/b.jpg",
        "a.png",
        "A.jpg",
        "x" * 250 + ".jpg",
        "猫" * 80 + ".jpg",
        "a .jpg",
        "-rf.jpg",
    ),
    *(
        "a\x01b.jpg",
        "\x7f.png",
        "\u202egpj.jpg",
        "\ufeff.jpg",
        "\ud7ff\ufffd.jpg",
        "a\r\n.jpg",
        "a\x85b.jpg",
        "a\u2028.jpg",
    ),
    *(
        ".labelgraph/x.jpg",
        "C:/x.jpg",
        "train/x.jpg",
        "labels/x.txt.jpg",
        "x~7.jpg",
        "%2e%2e/x.jpg",
        "&#0;.jpg",
        "x.JFIF",
    ),
)
KINDS = ("IMAGE_CLASSIFICATION", "OBJECT_DETECTION", "IMAGE_SEGMENTATION")
SHAPES = {
    "IMAGE_CLASSIFICATION": None,
    "OBJECT_DETECTION": BoundingBox(1, 2, 30, 40),
    "IMAGE_SEGMENTATION": Polygon((Position(0, 0), Position(10, 0), Position(0, 20))),
}
# Labels are names of folders, which are others where no folder can have them.
FOLDERS = {("IMAGE_FOLDER", "IMAGE_CLASSIFICATION"), ("YOLO", "IMAGE_CLASSIFICATION")}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", sorted(FORMATS.keys() - {"MODELARTS_MANIFEST"}))
def test_names_that_do_harm_are_written_so_that_readers_find_them(name: str, kind: str) -> None:
    if kind not in FORMATS[name].types:
        pytest.skip("a format for other datasets")
    stems = Counter(path.rpartition(".")[0].lower() for path in PATHS)
    images = [
        image(
            path,
            ParsedAnnotation(LABELS[number % len(LABELS)], SHAPES[kind], author=Author("<&>\"'", None)),
            number=number,
            file_path=names.file_path(path, number, is_unique=stems[path.rpartition(".")[0].lower()] == 1),
            file_name=names.file_name(path, number, is_unique=False),
        )
        for number, path in enumerate(PATHS, start=1)
    ]
    mode = "INCLUDED" if "INCLUDED" in FORMATS[name].images else "NONE"
    _, files = export(name, images, *LABELS, type=kind, mode=mode)
    assert [path for path in files if not is_harmless(path)] == []
    assert len({path.lower() for path in files}) == len(files)
    for path, data in files.items():
        if path.endswith(".xml"):
            ET.fromstring(data)  # noqa: S314, our own
    if name == "WEBDATASET":
        files = {"train.tar": tarred(files)}
    reader = "IMAGE_FOLDER" if (name, kind) in FOLDERS else READ_AS.get(name, name)
    records, problems = read(READERS[reader], files, kind)
    assert problems == []
    assert len({record.path for record in records}) == len(images)
    if (name, kind) not in FOLDERS:
        said = Counter(each.label for record in records for each in record.annotations or ())
        assert said == Counter(each.label for image_ in images for each in image_.annotations)
