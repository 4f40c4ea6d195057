"""How many images wait as pixels for a model in an ONNX file, with a model and decoders that only count."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import pytest

from db.auto_labelling.job_samples import JobSample
from db.auto_labelling.onnx import AHEAD, OnnxSuggestions
from db.formats.shapes import Raster

SAMPLE = JobSample(0, 7, "a.jpg", (), 70, "a.jpg", "e", 100, "c", "JPEG", True, Raster(200, 100))
SAMPLES = [replace(SAMPLE, number=number) for number in range(50)]


@dataclass
class Counting:
    """Images, decoders and a model. It looks at an image only when all that may be decoded has been."""

    width: int
    height: int
    decoded: int = 0
    most: int = 0
    letterbox = is_exclusive = False
    labels: Sequence[str] = ()
    version = "1"

    async def parts(self, samples: Sequence[JobSample]) -> AsyncIterator[list[tuple[JobSample, bytes | str]]]:
        yield [(each, b"") for each in samples]

    async def resized(self, *_: Any, **__: Any) -> bytes:
        self.decoded += 1
        self.most = max(self.most, self.decoded)
        return b""

    async def predict(self, *_: Any, **__: Any) -> list[Any]:
        for _turn in range(5):
            await asyncio.sleep(0)
        self.decoded -= 1
        return []


@pytest.mark.parametrize(("side", "most"), [(4_096, 2), (2_048, 6), (224, 50)])
async def test_pixels_that_wait_have_a_bound_in_bytes(side: int, most: int) -> None:
    counting = cast(Any, Counting(side, side))
    suggestions = OnnxSuggestions(counting, cast(Any, None), counting, counting)
    answers = await suggestions.answers(SAMPLES, least=0.5)
    assert [answer.sample.number for answer in answers] == list(range(50))
    assert (counting.decoded, counting.most) == (0, most)
    assert side == 4_096 or (most - 1) * 3 * side * side <= AHEAD
