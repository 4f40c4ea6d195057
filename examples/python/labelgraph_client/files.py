"""Local files: what is uploaded, under which names and keys, and what was downloaded."""

import hashlib
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from tempfile import TemporaryDirectory
from typing import Final, Literal

from labelgraph_client.errors import BAD_ANSWER, LabelgraphError

SUFFIXES: Final = {
    *(".jpg", ".jpeg", ".jfif", ".jpe", ".png", ".bmp"),
    *(".webp", ".tif", ".tiff", ".gif", ".avif"),
}
PACKED_TIME: Final = (1980, 1, 1, 0, 0, 0)  # of all files in an archive, so that the same files make the same archive

Labels = Sequence[str] | Callable[[Path], Sequence[str]]


@dataclass(frozen=True, slots=True)
class UploadOutcome:
    """What became of a file. `existing`: an earlier upload has made its sample, or a sample has its name."""

    path: Path
    outcome: Literal["uploaded", "existing", "refused"]
    sample_id: str | None = None
    code: str | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True)
class PlannedUpload:
    path: Path
    name: str  # in the dataset
    size: int
    labels: list[str]

    def key(self) -> str:
        """The same for the same file, so that an upload that is started again goes on."""
        digest = hashlib.sha256(self.name.encode() + b"\0")
        digest.update(self.path.read_bytes())
        return digest.hexdigest()


def images_in(folder: Path) -> list[Path]:
    """The images below a folder, without hidden ones, in the order of their paths."""
    found = (path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    return sorted(path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts))


def plan(paths: Iterable[Path], labels: Labels, root: Path) -> list[PlannedUpload]:
    """Uploads have names without folders: of files with the same name, each gets its folders in front of it."""
    paths = list(paths)
    repeated = {name for name, count in Counter(path.name for path in paths).items() if count > 1}

    def planned(path: Path) -> PlannedUpload:
        name = "_".join(path.relative_to(root).parts) if path.name in repeated else path.name
        return PlannedUpload(path, name, path.stat().st_size, list(labels(path) if callable(labels) else labels))

    return [planned(path) for path in paths]


@contextmanager
def packed(paths: Sequence[Path]) -> Iterator[Path]:
    """The one file, or an archive of several, or of folders. Raises OSError, ValueError: there is nothing in one."""
    for path in paths:
        if not path.exists():
            raise FileNotFoundError(f"There is no local file or folder {path}.")
        if path.is_file() and not path.stat().st_size:
            raise ValueError(f"{path} is empty: there is nothing to import.")
        if path.is_dir() and not any(file.is_file() for file in path.rglob("*")):
            raise ValueError(f"There is no file in the folder {path}.")
    if len(paths) == 1 and paths[0].is_file():
        yield paths[0]
        return
    with TemporaryDirectory() as folder:
        archive = Path(folder) / "annotations.zip"
        with zipfile.ZipFile(archive, "w") as opened:
            for path in paths:
                for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
                    if file.is_file():
                        name = file.relative_to(path if path.is_dir() else path.parent).as_posix()
                        with opened.open(zipfile.ZipInfo(name, PACKED_TIME), "w", force_zip64=True) as target:
                            target.write(file.read_bytes())
        yield archive


def part_of(path: Path, offset: int, size: int) -> bytes:
    with path.open("rb") as opened:
        opened.seek(offset)
        return opened.read(size)


def sha256_of(path: Path) -> str:
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def is_whole(path: Path, sha256: str) -> bool:
    return path.is_file() and sha256_of(path) == sha256


def unpacked(path: Path) -> list[Path]:
    """The files of a zip archive, which is deleted when they are next to it; any other file itself."""
    if path.suffix != ".zip":
        return [path]
    with zipfile.ZipFile(path) as opened:
        files = [Path(opened.extract(file, path.parent)) for file in opened.infolist() if not file.is_dir()]
    path.unlink()
    return files


def target_of(folder: Path, name: str) -> Path:
    """Where a file of an export is written: below the folder, whatever its name."""
    path = PureWindowsPath(name)  # both kinds of slashes, and drives
    if path.anchor or ".." in path.parts:
        raise LabelgraphError(f"The export has a file with the name {name!r}.", BAD_ANSWER)
    target = folder.joinpath(*path.parts)
    target.parent.mkdir(parents=True, exist_ok=True)
    return target
