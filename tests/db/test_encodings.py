"""Files that are not UTF-8: read in what they say that they are in, or refused with the line that is not text."""

import json

import pytest

from db.formats.datasets.readers import detect
from db.formats.datasets.readers.labels_csv import LONE_CR
from tests.db.dataset_files import labelled, only, refused

CVAT = (
    '<?xml version="1.0" encoding="{}"?><annotations><image id="0" name="a.jpg"><tag label="紅"/></image>{}'
    "</annotations>"
)


def test_csv_in_other_encodings() -> None:
    text = "path,label\n图.jpg,狗\n"
    for encoding in ("utf-16", "utf-8-sig"):
        assert labelled(only("CSV", {"a.csv": text.encode(encoding)})) == [("狗", None)]
    texts = [("Zélle", "latin-1"), ("клетка", "cp1251"), ("細胞", "shift-jis"), ("狗", "gb18030")]
    for label, encoding in texts:
        wrong = "path,label\na.jpg,cat\n" * 10_000 + f"a.jpg,{label}\n"
        assert "a.csv: Line 20001 is not text in UTF-8" in refused("CSV", {"a.csv": wrong.encode(encoding)})
        names = f"cell\n{label}\n".encode(encoding)
        message = refused("YOLO", {"labels/a.txt": "0 .5 .5 .1 .1\n", "classes.txt": names})
        assert "classes.txt: Line 2 is not text in UTF-8" in message
    assert "Line 2 is not text in UTF-16" in refused("CSV", {"a.csv": text.encode("utf-16")[:-1]})
    assert "a.csv: The file is text in UTF-32" in refused("CSV", {"a.csv": text.encode("utf-32")})


def test_lines_may_end_with_a_carriage_return() -> None:
    assert labelled(only("CSV", {"a.csv": "path,label\ra.jpg,cat\r"})) == [("cat", None)]
    mixed = refused("CSV", {"a.csv": "path,label\na.jpg,cat\rb.jpg,dog\n"})
    assert mixed == f"a.csv: Line 2 is not CSV: {LONE_CR}."
    boxes = "0 .5 .5 .1 .1\r0 .2 .2 .1 .1\r"
    record = only("YOLO", {"labels/a.txt": boxes, "classes.txt": "cell\rdog\r"})
    assert [each.label for each in record.annotations or ()] == ["cell", "cell"]


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_json_that_is_not_utf_8_is_refused(encoding: str) -> None:
    said = "Line 3 is not text in UTF-8" if encoding == "latin-1" else f"The file is text in {encoding[:6].upper()}, "
    labels = [{"file_name": "a.jpg", "label": "cat"}, {"file_name": "b.jpg", "label": "café"}]
    lines = "\n".join(["", *(json.dumps(each, ensure_ascii=False) for each in labels)])
    tasks = [{"data": {"image": each["file_name"]}, "annotations": [], "note": each["label"]} for each in labels]
    coco = {"images": [{"id": 1, "file_name": "a.jpg"}], "categories": [{"id": 1, "name": "café"}], "annotations": []}
    files = {
        "JSON_LINES": ("a.jsonl", lines),
        "LABEL_STUDIO": ("a.json", "[\n" + ",\n".join(json.dumps(each, ensure_ascii=False) for each in tasks) + "]"),
        "COCO": ("a.json", "\n\n" + json.dumps(coco, ensure_ascii=False)),
    }
    for form, (name, text) in files.items():
        assert f"{name}: {said}" in refused(form, {name: text.encode(encoding)})
        assert detect([name], lambda _: text.encode(encoding)) == form  # noqa: B023, it is called at once


@pytest.mark.parametrize("encoding", ["gb18030", "shift_jis", "euc-jp", "big5", "gbk"])
def test_cvat_is_read_in_the_encoding_that_it_names(encoding: str) -> None:
    text = CVAT.format(encoding, " " * 70_000)
    assert labelled(only("CVAT", {"a.xml": text.encode(encoding)})) == [("紅", None)]
    for form in ("utf-16", "utf-16-le", "utf-16-be"):
        assert labelled(only("CVAT", {"a.xml": text.encode(form)})) == [("紅", None)]
    wrong = refused("CVAT", {"a.xml": text.encode(encoding).replace(b'"/>', b'\xff\xff"/>')})
    assert "Line 1 is not text in the encoding that the file names" in wrong
    for name in ("utf-7", "no-such-encoding"):
        message = f"a.xml: The file names the encoding `{name}`, which is not read"
        assert message in refused("CVAT", {"a.xml": text.replace(encoding, name).encode()})
