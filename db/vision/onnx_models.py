"""Models that somebody brought, as ONNX files: run in a process that may be ended (`onnx_program.py`), and asked here.

Neither the file nor what it says is trusted. A model that crashes, hangs or fills the memory raises ModelError here,
and that is all it does.
"""

import asyncio
import json
import os
import stat
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from io import FileIO
from pathlib import Path
from typing import Any, BinaryIO, Final, Protocol, TypeVar

from db.formats.images import fitting
from db.formats.names import excerpt
from db.vision import onnx_description, require
from db.vision.onnx_description import MAX_NAME, MAX_TEXT, Kind, ModelDescription
from db.vision.onnx_file import ModelError
from db.vision.onnx_messages import DONE, HEADER, REQUEST, RESPONSE, TOO_MUCH

ROOT: Final = Path(__file__).parents[2]
CLOCK_FACTOR: Final = 4  # time by the clock that an image may take, in times of its processor time
MODEL, DESCRIPTION = "The model", "The model's description"
MAX_FILE: Final = 2**31 - 1  # bytes: what the format allows
MAX_DESCRIPTION: Final = 4 * MAX_TEXT  # bytes
MAX_MESSAGE: Final = 500  # characters
MAX_RESPONSE: Final = 1_000_000  # bytes
LARGEST: Final = sys.float_info.max  # JSON has numbers beyond it
PROCESS_ERRORS: Final = (TimeoutError, OSError, asyncio.IncompleteReadError, ValueError, RecursionError)
UNREADABLE: Final = "The model's process says what cannot be read."
BLOCK: Final = 8 << 20
UNBLOCKED: Final = os.O_NONBLOCK | os.O_NOCTTY  # a pipe without a writer is not waited for
Result = TypeVar("Result")


class Run(Protocol):
    """Runs a function that accesses a disk, in a thread (`Disk.run`)."""

    async def __call__(self, function: Callable[..., Result], /, *arguments: Any) -> Result: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelLimits:
    """Of one model. `memory` is in bytes, of its process as a whole: ONNX Runtime itself takes 200 MB of it. `seconds`
    of processor time, to open the model and for each image."""

    memory: int = 4 << 30
    seconds: float = 60.0


@dataclass(frozen=True, slots=True)
class Suggested:
    """`label`: its position in the model's labels. `box`: left, top, right, bottom, as shares of the upright image's
    width and height; None for the whole image."""

    label: int
    confidence: float
    box: tuple[float, float, float, float] | None = None


@dataclass(slots=True)
class OnnxModel:
    """One that runs. It looks at one image at a time."""

    name: str
    version: str
    description: ModelDescription
    limits: ModelLimits
    process: asyncio.subprocess.Process
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def labels(self) -> tuple[str, ...]:
        return self.description.labels

    @property
    def kind(self) -> Kind:
        return self.description.kind

    @property
    def is_exclusive(self) -> bool:
        """Whether an image has one label, so that only the surest is to be suggested."""
        return self.kind == "CLASSIFICATION" and self.description.output.scores != "SIGMOID"

    @property
    def width(self) -> int:
        """Of the pixels that it wants (`Decoders.resized`)."""
        return self.description.input.width

    @property
    def height(self) -> int:
        return self.description.input.height

    @property
    def letterbox(self) -> bool:
        return self.description.input.resize == "LETTERBOX"

    async def predict(self, pixels: bytes, *, size: tuple[int, int], least: float = 0.0) -> list[Suggested]:
        """What it says of an image, the surest first, of at least that confidence; at most 300. `pixels`: as
        `Decoders.resized` makes them. `size`: width and height of the upright image. Raises ModelError; after one that
        ended its process each further call does, too."""
        if len(pixels) != 3 * self.width * self.height:
            raise ValueError("pixels of another size than the model's")
        async with self.lock:
            found = await self._ask(REQUEST.pack(least), pixels)
        return [each for row in found for each in self._read(row, size)]

    async def _ask(self, *request: bytes) -> list[Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            async with asyncio.timeout(self.limits.seconds * CLOCK_FACTOR):
                for part in request:
                    self.process.stdin.write(part)
                await self.process.stdin.drain()
                status, length = RESPONSE.unpack(await self.process.stdout.readexactly(RESPONSE.size))
                if length > MAX_RESPONSE:
                    raise ModelError("The model says more than is allowed.")
                value = json.loads(await self.process.stdout.readexactly(length))
        except PROCESS_ERRORS as error:
            await _end(self.process)
            raise ModelError(TOO_MUCH) from error
        except BaseException:  # an incomplete response would be taken for the next one
            await _end(self.process)
            raise
        if status != DONE or not isinstance(value, list):
            raise ModelError("".join(each for each in str(value)[:MAX_MESSAGE] if each.isprintable()))
        return value

    def _read(self, row: Any, size: tuple[int, int]) -> list[Suggested]:
        """One, or none where the box is not on the image."""
        if (
            not isinstance(row, list)
            or len(row) < 2
            or not all(type(each) in (int, float) and -LARGEST <= each <= LARGEST for each in row)
        ):
            raise ModelError(UNREADABLE)
        label, confidence, *box = row
        is_possible = type(label) is int and 0 <= label < len(self.labels) and 0 <= confidence <= 1
        if not is_possible or len(box) not in (0, 4):
            raise ModelError(UNREADABLE)
        if not box:
            return [Suggested(label, confidence)]
        left, top, right, bottom = (min(1.0, max(0.0, edge)) for edge in self._on_image(box, size))
        return [Suggested(label, confidence, (left, top, right, bottom))] if left < right and top < bottom else []

    def _on_image(self, box: list[float], size: tuple[int, int]) -> tuple[float, float, float, float]:
        """A box of the model's input, as one of the image without the gray around it."""
        left, top, right, bottom = box
        if not self.letterbox:
            return left, top, right, bottom
        shown = fitting(*size, self.width, self.height)
        across, down = ((whole - part) // 2 for whole, part in zip((self.width, self.height), shown, strict=True))
        x, y = self.width / shown[0], self.height / shown[1]
        start_x, start_y = across / shown[0], down / shown[1]
        return left * x - start_x, top * y - start_y, right * x - start_x, bottom * y - start_y


@asynccontextmanager
async def open_model(
    path: Path, limits: ModelLimits = ModelLimits(), run: Run = asyncio.to_thread
) -> AsyncIterator[OnnxModel]:
    """The model in that file, for as long as the block takes. Whether the path is allowed has been checked. Raises
    ModelError for one that cannot be used, VisionUnavailable without the extra, and what `run` raises."""
    require()
    text = await run(_description, path.with_suffix(".json"))
    description = onnx_description.parse(text)
    with await run(_opened, path, MODEL, MAX_FILE) as file:
        digest = sha256()
        while await run(_hash, file, path, digest.update):
            pass
        process = await _start(file, digest.hexdigest(), limits)
    name, version = description.name or path.stem[:MAX_NAME], description.version or digest.hexdigest()[:12]
    model = OnnxModel(name, version, description, limits, process)
    try:
        data = text.encode()
        await model._ask(HEADER.pack(len(data)), data)
        yield model
    finally:
        await _end(process)


def _description(path: Path) -> str:
    try:
        with _opened(path, DESCRIPTION, MAX_DESCRIPTION) as file:
            return (file.read(MAX_DESCRIPTION) or b"").decode()
    except OSError as error:
        raise _unreadable(path, DESCRIPTION, error) from error
    except UnicodeDecodeError as error:
        raise ModelError("The model's description is not UTF-8.") from error


def _opened(path: Path, what: str, most: int) -> BinaryIO:
    """A file of so many bytes at most. Raises ModelError for what is none, such as a device or a pipe."""
    try:
        file = FileIO(path, opener=lambda name, flags: os.open(name, flags | UNBLOCKED))
        facts = os.fstat(file.fileno())
    except OSError as error:
        raise _unreadable(path, what, error) from error
    if stat.S_ISREG(facts.st_mode) and facts.st_size <= most:
        return file
    file.close()
    if stat.S_ISREG(facts.st_mode):
        raise ModelError(f"{what} is larger than {most:,} bytes.")
    raise ModelError(f"{what} `{excerpt(path.name)}` is no regular file.")


def _hash(file: BinaryIO, path: Path, update: Callable[[bytes], None]) -> bool:
    """Whether there was more to hash. At the end the file is to be read from its beginning, by another process."""
    try:
        if block := file.read(BLOCK):
            update(block)
            return True
        file.seek(0)
        return False
    except OSError as error:
        raise _unreadable(path, MODEL, error) from error


def _unreadable(path: Path, what: str, error: OSError) -> ModelError:
    if what == DESCRIPTION and isinstance(error, FileNotFoundError):
        return ModelError(f"There is no `{excerpt(path.name)}` next to the model: it describes inputs and outputs.")
    return ModelError(f"{what} `{excerpt(path.name)}` cannot be read: {error.strerror}.")


async def _start(file: BinaryIO, digest: str, limits: ModelLimits) -> asyncio.subprocess.Process:
    """Without the environment of this process, which contains keys."""
    arguments = (str(file.fileno()), digest, str(limits.memory), str(limits.seconds))
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-B", "-P", "-m", "db.vision.onnx_program", *arguments),
        env={"PYTHONPATH": str(ROOT)},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        pass_fds=[file.fileno()],
    )


async def _end(process: asyncio.subprocess.Process) -> None:
    """What it has written is read, or its pipe, whose reading may be paused, would stay open."""
    with suppress(ProcessLookupError):
        process.kill()
    await process.communicate()
