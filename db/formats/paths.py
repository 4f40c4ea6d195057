"""Paths of datasets and objects: which texts are paths, and which paths the server's owner allows.

The links of a local path are resolved before it is compared with the allowed roots. The real path is stored, so a link
that is changed later has no effect.
"""

import errno
import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote_to_bytes, urlsplit

from db.errors import Invalid
from db.formats.names import is_storable

LENGTH = 1024  # bytes, as object stores allow for a key
NAME_LENGTH = 255  # bytes of one name, as file systems allow
UNUSABLE = "The server cannot open it as a directory."
PROBLEMS = {
    errno.EACCES: "The server may not enter this directory, or one above it; give it the rights to read it.",
    errno.ELOOP: "Symbolic links on the way lead in a circle.",
    errno.ENAMETOOLONG: f"A name in it is too long; file systems take at most {NAME_LENGTH} bytes.",
    errno.ENOTDIR: "It is a file, or leads through one; name the directory that the images lie in.",
}


def input_path(text: str, allowed_roots: Sequence[Path]) -> str:
    """An input path, normalized: a real directory below an allowed root, which can be read, or does not exist yet."""
    path = _allowed(_resolved(text), allowed_roots)
    try:
        os.close(os.open(f"{path}/.", os.O_RDONLY | os.O_CLOEXEC))
    except FileNotFoundError:
        pass
    except OSError as error:
        raise invalid_path(PROBLEMS.get(error.errno or 0, UNUSABLE)) from None
    return str(path)


def known_path(text: str, allowed_roots: Sequence[Path]) -> str:
    """A path from `input_path` or `output_path`, if it is still allowed. Accesses no disk, and follows no link."""
    path = Path(os.path.normpath(text))
    if not path.is_absolute():
        raise invalid_path("Give an absolute path, a `file://` URL, or `s3://bucket/prefix/`.")
    return str(_allowed(path, allowed_roots))


def output_path(text: str, allowed_roots: Sequence[Path], *, source: str) -> str:
    """An output path, normalized: neither the input path nor below it, where a sync would find what is written."""
    path = Path(input_path(text, allowed_roots))
    if path.is_relative_to(Path(source)):
        raise invalid_path("The output path must lie outside the input path.")
    return str(path)


def path_parts(path: str) -> tuple[str, ...]:
    """The parts of an object's path below its store's root. Raises Invalid."""
    parts = tuple(path.split("/"))
    if not is_storable(path) or any(part in ("", ".", "..") for part in parts) or len(path.encode()) > LENGTH:
        raise Invalid("This cannot be the path of a file below an input path.", code="INVALID_PATH")
    return parts


def stem(path: str) -> str:
    """A path without its suffix: what an image and its sidecar share."""
    directory, slash, name = path.rpartition("/")
    return directory + slash + (name.rpartition(".")[0] or name)


def suffix(path: str) -> str:
    """The suffix in lower case, with its dot; empty for a name such as `.jpg` or `README`."""
    name = path.rpartition("/")[2]
    front, dot, end = name.rpartition(".")
    return dot + end.lower() if front else ""


def _allowed(path: Path, allowed_roots: Sequence[Path]) -> Path:
    if not any(path.is_relative_to(root) for root in allowed_roots):
        raise invalid_path("It is not below a directory that this server's owner allowed (`--allow-root`).")
    return path


def path_excerpt(path: str) -> str:
    """A path of a file system as text that can be stored and shown, shortened."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "replace").replace("\0", "�")[: LENGTH // 4]


def _resolved(text: str) -> Path:
    if not is_storable(text) or not text.isprintable() or not 1 <= len(text.encode()) <= LENGTH:
        raise invalid_path(f"It has 1 to {LENGTH} bytes, none of them a control character.")
    if "://" in text:
        text = path_of_url(text)
    if not text.startswith("/"):
        raise invalid_path("Give an absolute path, a `file://` URL, or `s3://bucket/prefix/`.")
    if any(len(part.encode()) > NAME_LENGTH for part in text.split("/")):
        raise invalid_path(PROBLEMS[errno.ENAMETOOLONG])
    try:
        return Path(text).resolve()
    except OSError as error:
        raise invalid_path(PROBLEMS.get(error.errno or 0, UNUSABLE)) from None
    except (RuntimeError, ValueError):
        raise invalid_path(PROBLEMS[errno.ELOOP]) from None


def path_of_url(text: str) -> str:
    try:
        url = urlsplit(text)
    except ValueError:
        raise invalid_path("It is not a URL.") from None
    if url.scheme != "file" or url.netloc not in ("", "localhost") or url.query or url.fragment:
        raise invalid_path("Of URLs, `file:///directory` is understood.")
    path = os.fsdecode(unquote_to_bytes(url.path))
    if not is_storable(path):
        raise invalid_path("It is not text in UTF-8.")
    return path


def invalid_path(reason: str) -> Invalid:
    """Why a text cannot be the path of a dataset."""
    return Invalid(f"This cannot be a dataset's path. {reason}", code="INVALID_PATH")
