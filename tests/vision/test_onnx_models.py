"""Models that somebody brought: they suggest, and whatever else they do stays in their process."""

import asyncio
import json
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from db.vision import onnx_graph, onnx_models
from db.vision.onnx_file import ModelError, expect_whole
from db.vision.onnx_graph import Graph
from db.vision.onnx_models import ModelLimits, OnnxModel, Suggested, open_model
from tests.waiting import TIMEOUT

SIDE = 8
MIB = 1 << 20
UNHURRIED = ModelLimits(seconds=TIMEOUT)
INPUT = {"image": ("float32", (1, 3, SIDE, SIDE))}
RED = bytes([255, 0, 0]) * SIDE * SIDE
CLASSES = {"kind": "CLASSIFICATION", "labels": ["red", "green", "blue"], "input": {"width": SIDE, "height": SIDE}}
SEPARATE = {"format": "BOXES", "boxes": "found", "scoresName": "found"}
BOXES = CLASSES | {"kind": "DETECTION", "output": {"format": "YOLO", "units": "RELATIVE"}}


def mean_color() -> Graph:
    graph = Graph()
    graph.node("GlobalAveragePool", ["image"], "pooled")
    graph.node("Flatten", ["pooled"], "colors")
    return graph


def colors(**more: Any) -> bytes:
    """The share of each colour: a classification."""
    return mean_color().model(INPUT | more, {"colors": ("float32", (1, 3))})


def boxes(*rows: list[float]) -> bytes:
    """The same boxes in every image."""
    graph = mean_color()
    graph.constant("boxes", np.array([rows], np.float32))
    graph.constant("nothing", np.array(0, np.float32).reshape(()))
    graph.node("ReduceSum", ["colors"], "sum", keepdims=0)
    graph.node("Mul", ["sum", "nothing"], "zero")
    graph.node("Add", ["boxes", "zero"], "found")
    return graph.model(INPUT, {"found": ("float32", (1, len(rows), 7))})


def looping() -> bytes:
    """A loop of 2 ** 62 rounds, which only the image ends."""
    body = Graph()
    body.node("Identity", ["go"], "on")
    body.node("Add", ["sum", "sum"], "doubled")
    inputs: dict[str, onnx_graph.Described] = {"round": ("int64", ()), "go": ("bool", ()), "sum": ("float32", (1, 3))}
    encoded = body.encoded(inputs, {"on": ("bool", ()), "doubled": ("float32", (1, 3))})
    graph = mean_color()
    graph.constant("rounds", np.array(2**62))
    attribute = onnx_graph._text(1, "body") + onnx_graph._bytes(6, encoded) + onnx_graph._number(20, 5)
    parts = [onnx_graph._text(1, name) for name in ("rounds", "", "colors")]
    parts += [onnx_graph._text(2, "found"), onnx_graph._text(4, "Loop"), onnx_graph._bytes(5, attribute)]
    graph.nodes.append(b"".join(parts))
    return graph.model(INPUT, {"found": ("float32", (1, 3))})


def filling(size: int) -> bytes:
    """Repeats the image until it fills the memory."""
    graph = mean_color()
    graph.constant("times", np.array([size, size]))
    graph.node("Tile", ["colors", "times"], "many")
    graph.node("ReduceMax", ["many"], "found", axes=(0,), keepdims=1)
    return graph.model(INPUT, {"found": ("float32", (1, 3))})


def elsewhere(location: str) -> Graph:
    """Weights in another file."""
    entry = onnx_graph._text(1, "location") + onnx_graph._text(2, location)
    tensor = onnx_graph._number(1, 3) + onnx_graph._number(2, 1) + onnx_graph._text(8, "weights")
    graph = mean_color()
    graph.constants.append(tensor + onnx_graph._bytes(13, entry) + onnx_graph._number(14, 1))
    graph.node("Add", ["colors", "weights"], "found")
    return graph


def written(folder: Path, model: bytes, description: object) -> Path:
    path = folder / "model.onnx"
    path.write_bytes(model)
    path.with_suffix(".json").write_text(json.dumps(description))
    return path


async def test_a_classification(tmp_path: Path) -> None:
    path = written(tmp_path, colors(), CLASSES | {"output": {"scores": "PROBABILITIES"}})
    async with open_model(path, UNHURRIED) as model:
        assert (model.name, model.kind, model.labels) == ("model", "CLASSIFICATION", ("red", "green", "blue"))
        assert (model.width, model.height, model.letterbox, model.is_exclusive) == (SIDE, SIDE, False, True)
        assert len(model.version) == 12
        found = await model.predict(RED, size=(640, 480))
        assert found == [Suggested(0, 1.0), Suggested(1, 0.0), Suggested(2, 0.0)]
        assert await model.predict(RED, size=(640, 480), least=0.5) == found[:1]
        many = await asyncio.gather(*(model.predict(RED, size=(1, 1)) for _ in range(5)))
        assert many == [found] * 5
        with pytest.raises(ValueError, match="another size"):
            await model.predict(RED[1:], size=(1, 1))
        process = model.process
    assert process.returncode is not None


async def test_boxes_are_on_the_upright_image(tmp_path: Path) -> None:
    """An image of 200 × 100 is 8 × 4 in the middle of 8 × 8 pixels."""
    model = boxes([0.5, 0.5, 0.5, 0.25, 0.9, 0, 0], [0.1, 0.5, 0.4, 2, 0, 0.8, 0], [0.5, 0.1, 0.1, 0.1, 0, 0, 0.7])
    described = BOXES | {"name": "boxes", "version": "3"}
    async with open_model(written(tmp_path, model, described), UNHURRIED) as opened:
        assert (opened.name, opened.version, opened.is_exclusive) == ("boxes", "3", False)
        first, second, third = await opened.predict(RED, size=(200, 100))
        assert first.box == pytest.approx((0.25, 0.375, 0.75, 0.625))
        assert second.box == pytest.approx((0, 0, 0.3, 1))
        assert third.label == 2
        assert third.confidence == pytest.approx(0.7)
    described |= {"input": {"width": SIDE, "height": SIDE, "resize": "LETTERBOX"}}
    async with open_model(written(tmp_path, model, described), UNHURRIED) as opened:
        assert opened.letterbox
        first, second = await opened.predict(RED, size=(200, 100))  # the third is beside the image
        assert first.box == pytest.approx((0.25, 0.25, 0.75, 0.75))
        assert second.box == pytest.approx((0, 0, 0.3, 1))


@pytest.mark.parametrize(
    ("model", "described", "message"),
    [
        (b"", CLASSES, "no ONNX model"),
        (b"hello", CLASSES, "no ONNX model"),
        (colors()[:-20], CLASSES, "no ONNX model"),
        (elsewhere("secret.bin").model(INPUT, {}), CLASSES, "numbers in another file"),
        (colors(other=("float32", (1,))), CLASSES, "has the inputs image, other: `input.name`"),
        (
            Graph().model({"image": ("int64", (1, 3, 8, 8))}, {"image": ("int64", (1, 3, 8, 8))}),
            CLASSES,
            "tensor.int64",
        ),
        (colors(), CLASSES | {"input": {"width": 9, "height": 8}}, r"shape \[1, 3, 8, 8\], and \[1, 3, 8, 9\] is"),
        (colors(), CLASSES | {"input": CLASSES["input"] | {"layout": "NHWC"}}, "is described"),  # type: ignore[operator]
        (colors(), CLASSES | {"input": CLASSES["input"] | {"name": "x"}}, "has the inputs image: `input.name`"),  # type: ignore[operator]
        (colors(), CLASSES | {"labels": []}, "`labels` must be a list"),
        (colors(), CLASSES | {"output": {"name": "x"}}, "has no output `x`; it has `colors`"),
        (boxes([0.0] * 7), BOXES | {"output": {"format": "YOLO", "name": "x"}}, "has no output `x`; it has `found`"),
        (boxes([0.0] * 7), BOXES | {"output": SEPARATE | {"boxes": "x"}}, "has no output `x`; it has `found`"),
        (boxes([0.0] * 7), BOXES | {"output": SEPARATE | {"scoresName": "x"}}, "has no output `x`; it has `found`"),
        (boxes([0.0] * 7), BOXES | {"output": SEPARATE | {"labels": "x"}}, "has no output `x`; it has `found`"),
    ],
)
async def test_a_model_that_cannot_be_used_is_refused(
    tmp_path: Path, model: bytes, described: dict[str, Any], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        async with open_model(written(tmp_path, model, described), UNHURRIED):
            pass


async def test_an_operator_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    graph = mean_color()
    graph.node("Improve", ["colors"], "found")
    path = written(tmp_path, graph.model(INPUT, {"found": ("float32", (1, 3))}), CLASSES)
    with pytest.raises(ModelError, match="ONNX Runtime cannot run the model"):
        async with open_model(path, UNHURRIED):
            pass


async def test_files_that_are_missing_are_named(tmp_path: Path) -> None:
    path = written(tmp_path, colors(), CLASSES)
    path.unlink()
    with pytest.raises(ModelError, match=r"`model.onnx` cannot be read: No such file"):
        async with open_model(path):
            pass
    path.with_suffix(".json").write_bytes(b"\xff")
    with pytest.raises(ModelError, match="not UTF-8"):
        async with open_model(path):
            pass
    path.with_suffix(".json").unlink()
    with pytest.raises(ModelError, match=r"There is no `model.json` next to the model"):
        async with open_model(path):
            pass


@pytest.mark.parametrize("suffix", [".json", ".onnx"])
async def test_what_is_no_file_is_neither_waited_for_nor_read(tmp_path: Path, suffix: str) -> None:
    path = written(tmp_path, colors(), CLASSES)
    odd = path.with_suffix(suffix)

    async def refused() -> str:
        with pytest.raises(ModelError) as error:
            async with open_model(path):
                pass
        odd.unlink(missing_ok=True) if not odd.is_dir() else odd.rmdir()
        return error.value.message

    odd.unlink()
    os.mkfifo(odd)
    assert f"`{odd.name}` is no regular file" in await refused()
    odd.symlink_to("/dev/zero")
    assert f"`{odd.name}` is no regular file" in await refused()
    odd.mkdir()
    assert f"`{odd.name}` cannot be read: Is a directory" in await refused()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(odd))  # absolute it may be too long
        assert f"`{odd.name}` cannot be read" in await refused()
    with odd.open("wb") as file:
        file.truncate(3 << 30)
    assert "is larger than " in await refused()


async def test_files_are_read_in_the_threads_that_are_given(tmp_path: Path) -> None:
    calls: list[str] = []

    async def run(function: Callable[..., Any], /, *arguments: Any) -> Any:
        calls.append(function.__name__)
        return await asyncio.to_thread(function, *arguments)

    async with open_model(written(tmp_path, colors(), CLASSES), UNHURRIED, run):
        assert calls == ["_description", "_opened", "_hash", "_hash"]


async def failed(model: OnnxModel) -> str:
    with pytest.raises(ModelError) as error:
        await model.predict(RED, size=(8, 8))
    return error.value.message


async def test_a_model_that_says_something_else_fails_and_can_be_asked_again(tmp_path: Path) -> None:
    async with open_model(written(tmp_path, colors(), CLASSES | {"labels": ["a"]}), UNHURRIED) as model:
        for _ in range(2):
            assert "says 3 numbers, and its description has 1" in await failed(model)


async def test_a_model_that_never_ends_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_models, "CLOCK_FACTOR", TIMEOUT)  # the clock ends nothing here
    async with open_model(written(tmp_path, looping(), CLASSES), ModelLimits(seconds=1)) as model:
        assert await failed(model) == "The model takes too much memory or time."
        assert model.process.returncode is not None, "the kernel has ended it"
        assert await failed(model) == "The model takes too much memory or time."


async def test_a_model_that_fills_the_memory_fails(tmp_path: Path) -> None:
    path = written(tmp_path, filling(10_000), CLASSES)
    async with open_model(path, ModelLimits(memory=1024 * MIB, seconds=TIMEOUT)) as model:
        assert "memory" in await failed(model)
        assert "memory" in await failed(model), "and lives"


async def test_a_model_that_hangs_is_ended_by_the_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_model(written(tmp_path, colors(), CLASSES), UNHURRIED) as model:
        os.kill(model.process.pid, signal.SIGSTOP)
        monkeypatch.setattr(onnx_models, "CLOCK_FACTOR", 0.05 / TIMEOUT)
        assert await failed(model) == "The model takes too much memory or time."
        assert model.process.returncode is not None


async def test_whoever_gives_up_leaves_nothing_half_said(tmp_path: Path) -> None:
    async with open_model(written(tmp_path, looping(), CLASSES), UNHURRIED) as model:
        asking = asyncio.create_task(model.predict(RED, size=(8, 8)))
        await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert model.process.returncode is not None


@pytest.mark.parametrize(
    "answer",
    [
        b"D\0\0\0\x04null",
        b"D\0\0\0\x03[1]",
        b'D\0\0\0\x09[["a",1]]',
        b"D\0\0\0\x07[[5,1]]",
        b"D\0\0\0\x07[[0,2]]",
        b"D\0\0\0\x09[[0,NaN]]",
        b"D\0\0\0\x09[[0,1,2]]",
        b"D\0\0\0\x05[[0]]",
        b"D\0\0\x03\x84[[0," + b"9" * 894 + b"]]",
        b"D\xff\xff\xff\xff",
        b"D\0\0\0\x01{",
        b"D\0\0",
    ],
)
async def test_whatever_a_process_says_is_checked(tmp_path: Path, answer: bytes) -> None:
    """One that a model has taken over."""
    program = f"import os, sys; sys.stdin.buffer.read(200); os.write(1, {answer!r})"
    async with open_model(written(tmp_path, colors(), CLASSES), UNHURRIED) as model:
        own = model.process
        model.process = await asyncio.create_subprocess_exec(
            *("python3", "-c", program), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        assert await failed(model)
        await onnx_models._end(model.process)
        model.process = own


async def test_a_message_can_be_shown_and_stored(tmp_path: Path) -> None:
    """Names in a graph may have any bytes, and ONNX Runtime repeats them."""
    graph = mean_color()
    graph.node("Add", ["colors", "a\0\x1b[2J\nb" * 100], "found")
    path = written(tmp_path, graph.model(INPUT, {"found": ("float32", (1, 3))}), CLASSES)
    with pytest.raises(ModelError, match="ONNX Runtime cannot run the model") as error:
        async with open_model(path, UNHURRIED):
            pass
    assert error.value.message.isprintable()
    assert len(error.value.message) <= 500


async def test_names_of_any_bytes_are_no_failure_of_the_process(tmp_path: Path) -> None:
    graph = mean_color().model(INPUT, {"colors": ("float32", (1, 3))})
    path = written(tmp_path, graph.replace(b"image", b"\xff\xfe\xfd\xfc\xfb"), CLASSES)
    with pytest.raises(ModelError, match="ONNX Runtime cannot run the model"):
        async with open_model(path, UNHURRIED):
            pass


async def test_a_file_that_changes_while_it_is_read_has_no_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, start = written(tmp_path, colors(), CLASSES), onnx_models._start

    async def changing(*arguments: Any) -> Any:
        path.write_bytes(boxes([0.5, 0.5, 0.5, 0.25, 0.9, 0, 0]))
        return await start(*arguments)

    monkeypatch.setattr(onnx_models, "_start", changing)
    with pytest.raises(ModelError, match="changes while it is read"):
        async with open_model(path, UNHURRIED):
            pass


async def test_the_process_knows_no_keys_and_opens_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABELGRAPH_S3_SECRET_KEY", "planted-secret")
    (tmp_path / "secret.bin").write_bytes(bytes(12))
    async with open_model(written(tmp_path, colors(), CLASSES), UNHURRIED) as model:
        process = Path("/proc", str(model.process.pid))
        assert b"planted-secret" not in (process / "environ").read_bytes()
        limits = dict(line.rsplit(None, 3)[:2] for line in (process / "limits").read_text().splitlines()[1:])
        assert {limits[name] for name in ("Max open files", "Max file size", "Max core file size")} == {"0"}
        opened = {str(each.readlink()) for each in (process / "fd").iterdir()}
        assert not any(str(tmp_path) in each for each in opened)


def test_other_files_are_found_wherever_a_model_names_them() -> None:
    expect_whole(colors())
    nested = mean_color()
    inner = onnx_graph._bytes(6, elsewhere("x").encoded(INPUT, {}))
    nested.nodes.append(onnx_graph._text(4, "If") + onnx_graph._bytes(5, onnx_graph._text(1, "then_branch") + inner))
    for graph in (elsewhere("/etc/passwd"), elsewhere("../x"), nested):
        with pytest.raises(ModelError, match="another file"):
            expect_whole(graph.model(INPUT, {}))
    deep = b""
    for _ in range(200):
        deep = onnx_graph._bytes(1, onnx_graph._bytes(5, onnx_graph._bytes(6, deep)))
    with pytest.raises(ModelError, match="graphs in graphs"):
        expect_whole(onnx_graph._bytes(7, deep))
    for damaged in (colors() + bytes(2), *(colors()[:cut] for cut in range(1, len(colors()) - 10, 7))):
        with pytest.raises(ModelError, match="no ONNX model"):
            expect_whole(damaged)
