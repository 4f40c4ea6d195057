"""Decoders: what an image can do to one, and what it cannot do to the others."""

import asyncio
import io
import os
import re
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from PIL import Image

from db.formats import decoding, images
from db.formats.decoder import REQUEST, RESIZED, TOO_COSTLY
from db.formats.decoding import MAX_IMAGES, Decoder, Decoders, Limits
from db.formats.images import ImageFacts, UnreadableImage
from tests.waiting import TIMEOUT, wait_until

MIB = 1024 * 1024


def image_bytes(size: tuple[int, int] = (300, 200), form: str = "JPEG", **options: object) -> bytes:
    out = io.BytesIO()
    Image.linear_gradient("L").resize(size).convert("RGB").save(out, form, **options)
    return out.getvalue()


@cache
def slow() -> bytes:
    """A JPEG that has no more scans and pixels than it may, and takes seconds."""
    data = image_bytes((8_000, 8_000), progressive=True)
    header = bytes.fromhex("ffda0008010100013f21")  # refines the luminance by nothing, block after block
    start = data.index(header)
    end = start + len(header) + re.search(b"\xff[^\0]", data[start + len(header) :]).start()  # type: ignore[union-attr]
    made = data[:end] + data[start:end] * 50 + data[end:]
    assert made.count(b"\xff\xda") == 60 <= images.MAX_SCANS
    return made


@pytest.fixture
async def decoders() -> AsyncIterator[Decoders]:
    async with decoding.decoders(Limits(seconds=TIMEOUT, processes=2)) as made:
        yield made


async def test_decodes_as_if_it_were_done_here(decoders: Decoders) -> None:
    data = image_bytes()
    assert await decoders.check(data) == ImageFacts("JPEG", 300, 200, 1)
    assert await decoders.thumbnail(data, 64) == images.thumbnail(data, 64)[0]
    assert len(decoders.idle) == 1, "one after the other needs one process"


async def test_reports_whether_an_image_is_whole(decoders: Decoders) -> None:
    data = image_bytes()
    assert [await decoders.is_complete(data[:end]) for end in (len(data), -2, -500)] == [True, True, False]
    with pytest.raises(UnreadableImage):
        await decoders.is_complete(b"hello")
    assert [decoder.images for decoder in decoders.idle] == [4]


async def test_a_refusal_comes_back_as_its_sentence_and_the_decoder_lives(decoders: Decoders) -> None:
    for data in (b"", b"hello", image_bytes()[:100]):
        with pytest.raises(UnreadableImage, match="cannot be read as an image"):
            await decoders.check(data)
    assert [decoder.images for decoder in decoders.idle] == [3]


async def test_no_more_than_so_many_decode_at_once(decoders: Decoders) -> None:
    data = image_bytes()
    answers = await asyncio.gather(*(decoders.thumbnail(data, size) for size in range(20, 40)))
    assert [max(Image.open(io.BytesIO(answer)).size) for answer in answers] == list(range(20, 40))
    assert len(decoders.idle) == 2


async def test_more_pixels_than_the_owner_allows_are_too_many() -> None:
    async with decoding.decoders(Limits(seconds=TIMEOUT, pixels=59_999)) as decoders:
        with pytest.raises(UnreadableImage, match=r"300 × 200 pixels; at most 0\.059999 million"):
            await decoders.check(image_bytes())
        assert (await decoders.check(image_bytes((299, 200)))).width == 299


async def test_an_image_that_wants_too_much_memory_is_unreadable_and_that_is_all() -> None:
    async with decoding.decoders(Limits(seconds=TIMEOUT, memory=128 * MIB, processes=1)) as decoders:
        with pytest.raises(UnreadableImage, match="too much time or memory"):
            await decoders.check(image_bytes((6_000, 6_000), "PNG"))
        assert (await decoders.check(image_bytes())).width == 300
        assert [decoder.images for decoder in decoders.idle] == [2]


async def test_an_image_that_takes_too_long_is_stopped_by_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "CLOCK_FACTOR", 2 * TIMEOUT)  # the clock ends nothing here
    data = slow()
    async with decoding.decoders(Limits(seconds=0.5, processes=2)) as decoders:
        stopped, whole = await asyncio.gather(
            decoders.check(data), decoders.check(image_bytes()), return_exceptions=True
        )
        assert isinstance(stopped, UnreadableImage)
        assert stopped.message == TOO_COSTLY
        assert whole == ImageFacts("JPEG", 300, 200, 1)
        assert (await decoders.check(image_bytes())).width == 300


async def busy(decoders: Decoders, started: list[Decoder]) -> Decoder:
    """The decoder that has just been given an image."""
    while not started or not started[-1].images:  # noqa: ASYNC110 (a test looks from outside)
        await asyncio.sleep(0.001)
    return started[-1]


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Decoder]:
    """Every process as it is started."""
    found: list[Decoder] = []
    start: Callable[[Decoders], Awaitable[Decoder]] = Decoders._start

    async def noted(self: Decoders) -> Decoder:
        found.append(await start(self))
        return found[-1]

    monkeypatch.setattr(Decoders, "_start", noted)
    return found


async def test_a_decoder_that_hangs_is_killed_and_nobody_else_waits() -> None:
    async with decoding.decoders(Limits(seconds=TIMEOUT, processes=2)) as decoders:
        stuck = await stopped(decoders)
        first = asyncio.create_task(decoders.check(image_bytes()))
        await busy(decoders, [stuck])
        assert (await decoders.check(image_bytes())).width == 300
        assert not first.done()
        first.cancel()
        decoders.limits = replace(decoders.limits, seconds=0.05)
        stuck = await stopped(decoders)
        with pytest.raises(UnreadableImage, match=TOO_COSTLY):
            await decoders.check(image_bytes())
        assert stuck.process.returncode == -signal.SIGKILL
        assert stuck not in decoders.idle


async def stopped(decoders: Decoders) -> Decoder:
    """A decoder that gets the next image, and never answers."""
    decoder = await decoders._start()
    os.kill(decoder.process.pid, signal.SIGSTOP)
    decoders.idle.append(decoder)
    return decoder


async def test_a_decoder_that_crashes_costs_its_image_alone(started: list[Decoder]) -> None:
    async with decoding.decoders(Limits(seconds=TIMEOUT, processes=1)) as decoders:
        first = asyncio.create_task(decoders.check(slow()))
        waiting = asyncio.create_task(decoders.check(image_bytes()))
        os.kill((await busy(decoders, started)).process.pid, signal.SIGKILL)
        with pytest.raises(UnreadableImage, match=TOO_COSTLY):
            await first
        assert (await waiting).width == 300
        assert len(started) == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_signals_that_are_for_the_server_do_not_spoil_images(started: list[Decoder], number: int) -> None:
    """A terminal sends them to its whole group, systemd to all processes of a service. The server, which ends by
    itself, still answers what has begun: an upload would be refused for good as an image that cannot be decoded."""
    async with decoding.decoders(Limits(seconds=TIMEOUT, processes=1)) as decoders:
        await decoders.check(image_bytes())
        started[0].images = 0
        checking = asyncio.create_task(decoders.check(slow()))
        os.kill((await busy(decoders, started)).process.pid, number)
        assert (await checking).width == 8_000
        assert len(started) == 1


async def test_one_that_died_while_nobody_used_it_costs_nothing(decoders: Decoders) -> None:
    await decoders.check(image_bytes())
    [idle] = decoders.idle
    idle.process.kill()
    await idle.process.wait()
    assert (await decoders.check(image_bytes())).width == 300


async def test_whoever_gives_up_leaves_nothing_half_said(decoders: Decoders) -> None:
    data = slow()
    for _ in range(3):
        with suppress(TimeoutError):
            await asyncio.wait_for(decoders.check(data), 0.1)  # any time will do
    assert decoders.idle == []
    assert (await decoders.check(image_bytes())).width == 300


async def test_the_pipe_of_one_that_ends_within_its_response_is_closed(started: list[Decoder]) -> None:
    """The response is larger than what is read ahead: reading is paused then, and the process was never seen to end."""
    data = image_bytes((3_000, 3_000), "BMP")
    async with decoding.decoders(Limits(seconds=TIMEOUT, processes=1)) as decoders:
        await decoders.check(image_bytes())
        [decoder] = started
        pipe = decoder.process._transport.get_pipe_transport(1)  # type: ignore[attr-defined]
        decoder.image.write(data)
        decoder.requests.send(REQUEST.pack(RESIZED, 2_000 << 16 | 2_000, 10**8, 10**4, len(data)))
        await wait_until(lambda: not pipe.is_reading())
        await decoder.end()
        assert pipe.is_closing()


async def test_a_decoder_is_replaced_when_it_has_done_much(decoders: Decoders) -> None:
    await decoders.check(image_bytes())
    [first] = decoders.idle
    first.images = MAX_IMAGES
    await decoders.check(image_bytes())
    assert decoders.idle != [first]
    assert first.process.returncode is not None


async def test_none_outlives_its_server() -> None:
    async with decoding.decoders(Limits(seconds=TIMEOUT)) as decoders:
        await asyncio.gather(*(decoders.check(image_bytes()) for _ in range(8)))
        pids = [decoder.process.pid for decoder in decoders.idle]
    assert pids
    assert [pid for pid in pids if Path("/proc", str(pid)).exists()] == []


async def test_a_decoder_ends_when_its_server_was_killed(started: list[Decoder]) -> None:
    """All it notices is that nobody can ask any more."""
    async with decoding.decoders(Limits(seconds=TIMEOUT)) as decoders:
        await decoders.check(image_bytes())
        [decoder] = decoders.idle
        decoder.requests.close()
        assert await asyncio.wait_for(decoder.process.wait(), TIMEOUT) == 0


async def test_a_decoder_knows_no_keys_of_its_server(decoders: Decoders, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABELGRAPH_S3_SECRET_KEY", "planted-secret")
    await decoders.check(image_bytes())
    [decoder] = decoders.idle
    assert b"planted-secret" not in Path("/proc", str(decoder.process.pid), "environ").read_bytes()
