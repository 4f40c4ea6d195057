"""JSON that is too large to be read whole, in parts."""

import io
import json
from random import Random
from typing import Any

import pytest

from db.errors import Invalid
from db.formats.datasets.readers import json_parts
from db.formats.datasets.readers.json_parts import parts
from tests.db.dataset_files import refused


def made_up(random: Random, depth: int = 0) -> Any:
    match random.randrange(8 if depth < 4 else 5):
        case 0:
            return random.choice(('"', "\\", "a]}[{b", "狗", '\\"', "", "\n"))
        case 1:
            return random.randrange(-5, 10 ** random.randrange(1, 12))
        case 2:
            return random.random()
        case 3:
            return random.choice((None, True, False))
        case 4 | 5:
            return [made_up(random, depth + 1) for _ in range(random.randrange(4))]
        case _:
            return {random.choice('abc"\\é'): made_up(random, depth + 1) for _ in range(random.randrange(4))}


@pytest.mark.parametrize("seed", range(40))
def test_json_is_cut_where_it_should_be_whatever_the_pieces(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    random = Random(seed)
    arrays = {key: [{"n": made_up(random)} for _ in range(random.randrange(5))] for key in ("images", "other", "a")}
    whole = {"x": made_up(random), **arrays, "y": made_up(random)}
    text = json.dumps(whole, indent=random.choice((None, 2)), ensure_ascii=random.random() < 0.5).encode()
    monkeypatch.setattr(json_parts, "PIECE", random.randrange(1, 30))
    found = [(part.key, part.index, part.object()) for part in parts(io.BytesIO(text), ("images", "a"))]
    assert found == [(key, index, each) for key in ("images", "a") for index, each in enumerate(arrays[key])]
    array = json.dumps(arrays["images"]).encode()
    assert [part.object() for part in parts(io.BytesIO(b"\xef\xbb\xbf " + array))] == arrays["images"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("  \n", "not JSON"),
        ("x", "not JSON"),
        ("\0", "not JSON"),
        ('{"images":[{"id":1}', "not whole"),
        ('{"images":[{"id":1}}', "not JSON"),
        ("]", "not JSON"),
        ('{"images":[' + "[" * 70, "nested more than 64 deep"),
        ('{"images":' + '{"a":' * 70, "nested more than 64 deep"),
    ],
)
def test_what_is_no_json_is_refused(text: str, message: str) -> None:
    assert message in refused("COCO", {"a.json": text})


def test_an_element_without_end_is_refused_before_it_is_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_parts, "MAX_ELEMENT", 1_000)
    monkeypatch.setattr(json_parts, "PIECE", 100)

    class Endless(io.RawIOBase):
        served = 0

        def read(self, size: int = -1) -> bytes:
            self.served += size
            assert self.served < 5_000
            return b'{"images":["' + b"a" * 88 if self.served <= size else b"a" * size

    with pytest.raises(Invalid, match="more than"):
        list(parts(Endless(), ("images",)))  # type: ignore[arg-type]
