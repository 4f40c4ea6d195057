"""What a manifest says, in a dataset: lines as the reference system and others write them."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from db.ingest.imports import manifest_lines, reading
from db.jobs import batches
from tests.db.import_fixture import CAT, ImportFixture, counted


async def test_lines_become_samples_with_labels(importer: ImportFixture) -> None:
    importer.put("a/1.png", "2.png", "3.png")
    manifest = importer.manifest(
        {"source": "a/1.png", "usage": "TRAIN", "hard": "true", "id": "0162005993f8065ef47eefb59d1e4970",
         "sample-type": 0, "annotation": [CAT, CAT | {"name": "向日葵", "annotated-by": "human"}]},
        {"source": "2.png", "usage": "eval", "annotation": []},
        {"source": "3.png"},
    )  # fmt: skip
    job = await importer.load(manifest)
    assert (job["status"], counted(job)) == (
        "SUCCEEDED", {"scanned": 3, "added": 3, "updated": 0, "labeled": 1, "skipped": 0},
    )  # fmt: skip
    assert await importer.annotations() == [
        ("a/1.png", "cat", "ann", "2019-02-12 17:54:44", "IMPORT", None, True, None),
        ("a/1.png", "向日葵", "human", "2019-02-12 17:54:44", "IMPORT", None, True, None),
    ]
    first = await importer.dataset.sample("a/1.png")
    assert (first["hard"], first["usage"], first["state"], first["labeled_origin"]) == (
        True,
        "TRAIN",
        "LABELED",
        "IMPORT",
    )
    assert (first["width"], first["height"], first["format"]) == (8, 6, "PNG")
    second = await importer.dataset.sample("2.png")
    assert (second["hard"], second["usage"], second["state"]) == (False, "EVAL", "UNLABELED")
    assert await importer.dataset.changes() == ["Import: 3 added"]
    assert await importer.warnings(job) == []


# -- how lines are written ---------------------------------------------------------------------------------------------

SPELLINGS = {
    "as the reference writes it": CAT,
    "with underscores": {"name": "cat", "type": "modelarts/image_classification", "annotated_by": "human/ann/ann",
                         "creation_time": "2019-02-12 17:54:44"},
    "of another maker": CAT | {"type": "somebody/image_classification"},
    "without a type": {key: value for key, value in CAT.items() if key != "type"},
    "with a property in text": CAT | {"property": '{"@modelarts:color":"#3399ff"}'},
    "with a property that is nothing": CAT | {"property": None},
    "with a property that is rubbish": CAT | {"property": "{"},
    "with marks of its own": CAT | {"hard": "true", "hard-coefficient": 0.5, "id": "x"},
    "with a zone": CAT | {"creation-time": "2019-02-12T18:54:44+01:00"},
    "with blanks around": CAT | {"creation-time": " 2019-02-12 17:54:44 ", "annotated-by": "human/ann/ann "},
}  # fmt: skip


@pytest.mark.parametrize("spelling", SPELLINGS)
async def test_every_spelling_says_the_same(importer: ImportFixture, spelling: str) -> None:
    importer.put("1.png")
    job = await importer.load(importer.manifest({"source": "1.png", "annotation": [SPELLINGS[spelling]]}))
    assert await importer.annotations() == [("1.png", "cat", "ann", "2019-02-12 17:54:44", "IMPORT", None, True, None)]
    assert await importer.warnings(job) == []


@pytest.mark.parametrize("hard", [True, "true", "True", "TRUE", 1, "1"])
@pytest.mark.parametrize("usage", ["TRAIN", "train", "Train", " train "])
async def test_usage_and_hard_are_read_however_they_are_spelt(importer: ImportFixture, hard: Any, usage: str) -> None:
    importer.put("1.png")
    await importer.load(importer.manifest({"source": "1.png", "hard": hard, "usage": usage}))
    sample = await importer.dataset.sample("1.png")
    assert (sample["hard"], sample["usage"]) == (True, "TRAIN")


async def test_blank_lines_marks_of_editors_and_a_missing_last_newline_do_no_harm(importer: ImportFixture) -> None:
    importer.put("猫 1+.png", "2.png")
    lines = [json.dumps({"source": f"{importer.images}/{name}", "annotation": [CAT]}, ensure_ascii=False).encode()
             for name in ("猫 1+.png", "2.png")]  # fmt: skip
    manifest = importer.folder / "windows.manifest"
    manifest.write_bytes(b"\xef\xbb\xbf" + b"\r\n\r\n \r\n".join(lines))
    job = await importer.load(manifest)
    assert counted(job) == {"scanned": 2, "added": 2, "updated": 0, "labeled": 2, "skipped": 0}
    assert await importer.dataset.labels() == {"2.png": ["cat"], "猫 1+.png": ["cat"]}


@pytest.mark.parametrize("length", [1, 2, 3, 5, 64])
async def test_lines_are_the_same_however_the_bytes_arrive(length: int) -> None:
    text = b"\xef\xbb\xbfone\n\n\xe7\x8c\xab two\r\nthree"

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(text), length):
            yield text[start : start + length]

    found = [line async for batch in reading.lines(pieces()) for line in batch]
    assert [line.text for line in found] == [b"one", b"", "猫 two\r".encode(), b"three"]
    assert [line.number for line in found] == [1, 2, 3, 4]
    assert [line.end for line in found] == [7, 8, 17, len(text)]


async def test_a_line_that_is_too_long_is_passed_over_and_not_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_LINE", 10)

    async def pieces() -> AsyncIterator[bytes]:
        yield b"short\n"
        for _ in range(100):
            yield b"x" * 50
        yield b"\n0123456789\nlast one is long"

    found = [line.text async for batch in reading.lines(pieces()) for line in batch]
    assert found == [b"short", None, b"0123456789", None]


WHO = {
    "human": "human", "human/ann/ann": "ann", "human/test_123/test_123": "test_123", "human/one/two": "one/two",
    "human/ann@example.org": "ann@example.org", "modelarts/active-learning": "modelarts/active-learning",
    "model/detector/detector": "detector", "human/a/b/a/b": "a/b", "": "human", 7: "human",
}  # fmt: skip


@pytest.mark.parametrize("given", WHO)
def test_who_labelled_is_given_by_a_name(given: Any) -> None:
    line = json.dumps({"source": "/a.png", "annotation": [CAT | {"annotated-by": given}]}).encode()
    [annotation] = manifest_lines.parse(line, "IMAGE_CLASSIFICATION").annotations or ()
    assert annotation.author is not None
    assert annotation.author.by == WHO[given]
    assert annotation.author.confirmed is not str(given).startswith("model")


# -- what is wrong ----------------------------------------------------------------------------------------------------

WRONG = {
    "not json": "JSON",
    "[1]": "object",
    "{}": "`source`",
    '{"source": 7}': "`source`",
    '{"source": "content://a text"}': "text",
    '{"source": "s3://bucket/a.mp4", "sample-type": 6}': "sample-type",
    '{"source": "ftp://host/a.png"}': "path",
    '{"source": "a.png"}': "absolute",
    '{"source": "/images/../a.png"}': "path",
    '{"source": "s3://bucket//a.png"}': "path",
    '{"source": "s3://UP/a.png"}': "bucket",
    '{"source": "s3://bucket/notes.txt"}': ".jpg",
    '{"source": "/a\\u0000.png"}': "`source`",
    '{"source": "/a.png", "hard": nan}': "JSON",
    "[" * 100_000: "JSON",
    '{"source": "/' + "a" * 3000 + '.png"}': "2,048",
}


async def test_each_line_that_is_wrong_is_reported_with_its_number_and_the_others_are_done(
    importer: ImportFixture,
) -> None:
    importer.put("1.png")
    job = await importer.load(
        importer.manifest({"source": "1.png", "annotation": [CAT]}, *WRONG, {"source": "none.png"})
    )
    assert job["status"] == "SUCCEEDED"
    assert counted(job) == {
        "scanned": len(WRONG) + 2,
        "added": 1,
        "updated": 0,
        "labeled": 1,
        "skipped": len(WRONG) + 1,
    }
    messages = dict(await importer.warnings(job))
    for number, (line, word) in enumerate(WRONG.items(), start=2):
        assert word in messages[f"V001.manifest:{number}"], (line, messages[f"V001.manifest:{number}"])
    assert "none.png" in messages[f"V001.manifest:{len(WRONG) + 2}"]


@pytest.mark.parametrize("given", [{}, {"sourceRoot": True}])
async def test_a_path_that_the_system_refuses_is_reported_with_its_line(
    importer: ImportFixture, given: dict[str, Any]
) -> None:
    importer.put(*(f"{number}.jpg" for number in range(5)))
    (importer.folder / "round").symlink_to(importer.folder / "round")
    (importer.folder / "file").write_text("")
    bad = [
        "a" * 300 + ".jpg",
        "a" * 300 + "/x.jpg",
        "b/" + "a" * 300 + "/x.jpg",
        "round/x.jpg",
        "file/x.jpg",
        "/".join(["d"] * 600) + "/x.jpg",
        "nul\\u0000/x.jpg",
        "half\\ud800/x.jpg",
        "a//x.jpg",
        "../x.jpg",
    ]
    elsewhere = [f'{{"source": "{root}/{path}"}}' for path in bad for root in (importer.folder, importer.images)]
    buckets = [f'{{"source": "s3://bucket/{path}"}}' for path in ("a" * 1025 + ".jpg", "a//b.jpg", "../b.jpg")]
    good: list[Any] = [{"source": f"{number}.jpg", "annotation": [CAT]} for number in range(5)]
    manifest = importer.manifest(*good[:3], *elsewhere, *buckets, *good[3:])
    options = {"source_root": f"{importer.folder}/"} if given else {}
    job = await importer.load(manifest, **options)
    assert (job["status"], job["added"]) == ("SUCCEEDED", 5)
    messages = {int(path.rpartition(":")[2]) for path, _ in await importer.warnings(job)}
    assert messages == set(range(4, 4 + len(elsewhere) + len(buckets)))


async def test_what_is_wrong_in_a_line_is_passed_over_and_the_rest_of_it_taken(importer: ImportFixture) -> None:
    importer.put("1.png", "2.png")
    wrong = [
        CAT | {"name": "no label!"}, CAT | {"name": None}, CAT | {"type": "modelarts/object_detection"}, "cat", None,
        CAT | {"name": "dog", "confidence": 7, "creation-time": "yesterday",
               "annotated-by": "human/\u202enna", "area": float("nan")},
    ]  # fmt: skip
    job = await importer.load(
        importer.manifest(
            {"source": "1.png", "usage": "maybe", "hard": "perhaps", "annotation": wrong},
            {"source": "2.png", "annotation": CAT},
        )
    )
    assert await importer.dataset.labels() == {"1.png": ["dog"], "2.png": ["cat"]}
    messages = [message for path, message in await importer.warnings(job) if path == "V001.manifest:1"]
    assert len(messages) == 10
    assert any("object_detection" in message for message in messages)
    assert any("no label!" in message for message in messages)


@pytest.mark.parametrize("content", [b"\xff\xd8\xff\xe0" * 1000, b'{"id": 1}\n' * 5, b'{"sources": ["a"]}'])
async def test_what_is_no_manifest_at_all_fails_and_changes_nothing(importer: ImportFixture, content: bytes) -> None:
    (importer.folder / "x.manifest").write_bytes(content)
    job = await importer.load(importer.folder / "x.manifest")
    assert (job["status"], job["error_code"]) == ("FAILED", "VALIDATION_FAILED")
    assert await importer.dataset.changes() == []


async def test_a_manifest_that_is_not_utf_8_is_refused_by_its_line_as_other_json_is(importer: ImportFixture) -> None:
    importer.put("1.png")
    path = importer.manifest({"source": "1.png", "annotation": [CAT]}, b'{"source": "/caf\xe9.png"}')
    job = await importer.load(path)
    assert (job["status"], job["error_code"]) == ("FAILED", "VALIDATION_FAILED")
    assert "Line 2 is not text in UTF-8" in job["error_message"]
    assert await importer.dataset.changes() == []


async def test_an_empty_manifest_imports_nothing(importer: ImportFixture) -> None:
    job = await importer.load(importer.manifest())
    assert (job["status"], counted(job)["scanned"]) == ("SUCCEEDED", 0)


async def test_a_manifest_that_is_gone_by_then_fails(importer: ImportFixture) -> None:
    job = await importer.load(importer.folder / "gone.manifest")
    assert (job["status"], job["error_code"]) == ("FAILED", "INVALID_PATH")


async def test_a_manifest_that_is_too_large_is_not_read(
    importer: ImportFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    importer.put("1.png")
    manifest = importer.manifest({"source": "1.png"})
    monkeypatch.setattr("db.ingest.imports.reading.MAX_BYTES", manifest.stat().st_size)
    assert (await importer.load(manifest))["status"] == "SUCCEEDED"
    monkeypatch.setattr("db.ingest.imports.reading.MAX_BYTES", manifest.stat().st_size - 1)
    job = await importer.load(manifest)
    assert (job["status"], job["error_code"]) == ("FAILED", "FILE_TOO_LARGE")


async def test_a_line_that_is_too_long_is_reported(importer: ImportFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_LINE", 1_000)
    importer.put("1.png")
    job = await importer.load(importer.manifest({"source": "1.png"}, {"source": "1.png", "x": "y" * 1_000}))
    assert [path for path, _ in await importer.warnings(job)] == ["V001.manifest:2"]


async def test_files_that_are_no_images_are_reported(importer: ImportFixture) -> None:
    importer.put("1.png")
    (importer.images / "bad.jpg").write_bytes(b"no image")
    job = await importer.load(importer.manifest({"source": "1.png"}, {"source": "bad.jpg"}))
    [(path, message)] = await importer.warnings(job)
    assert (path, "bad.jpg" in message, job["skipped"]) == ("V001.manifest:2", True, 1)


async def test_every_name_of_an_image_is_one(importer: ImportFixture) -> None:
    names = ("a.jpg", "b.jpeg", "c.jfif", "d.JPE", "e.png", "f.bmp")
    importer.put(*names)
    job = await importer.load(importer.manifest(*({"source": name} for name in names)))
    assert (job["added"], await importer.warnings(job)) == (len(names), [])


async def test_an_image_that_two_lines_name_is_as_the_first_one_says(importer: ImportFixture) -> None:
    importer.put("1.png")
    twice = {"source": "1.png", "annotation": [CAT | {"name": "dog"}]}
    job = await importer.load(importer.manifest({"source": "1.png", "annotation": [CAT]}, twice, twice))
    assert await importer.dataset.labels() == {"1.png": ["cat"]}
    assert [path for path, _ in await importer.warnings(job)] == ["V001.manifest:2", "V001.manifest:3"]
    assert counted(job)["skipped"] == 2


async def test_of_many_warnings_the_first_ones_are_kept(
    importer: ImportFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "MAX_WARNINGS", 5)
    importer.put("1.png")
    job = await importer.load(importer.manifest({"source": "1.png"}, *["wrong"] * 20))
    assert (job["skipped"], len(await importer.warnings(job))) == (20, 5)
