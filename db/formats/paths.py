"""Which texts are paths of objects, and the parts of paths."""

import os
from urllib.parse import unquote_to_bytes, urlsplit

from db.errors import Invalid
from db.formats.names import is_storable

LENGTH = 1024  # bytes, as object stores allow for a key


def path_parts(path: str) -> tuple[str, ...]:
    """The parts of an object's path below its store's root. Raises Invalid."""
    parts = tuple(path.split("/"))
    if not is_storable(path) or any(part in ("", ".", "..") for part in parts) or len(path.encode()) > LENGTH:
        raise Invalid("This cannot be the path of a file below an input path.", code="INVALID_PATH")
    return parts


def normalized(path: str) -> str:
    """Relative, with `/`, without `.` and `..`: those that lead out of its folder are left out."""
    path = path.replace("\\", "/")
    scheme, divider, rest = path.partition("://")
    if divider:
        path = rest.partition("/")[2] if scheme != "file" else rest
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


def stem(path: str) -> str:
    """A path without its suffix: what an image and its sidecar share."""
    directory, slash, name = path.rpartition("/")
    return directory + slash + (name.rpartition(".")[0] or name)


def suffix(path: str) -> str:
    """The suffix in lower case, with its dot; empty for a name such as `.jpg` or `README`."""
    dot = path.rfind(".")
    return path[dot:].lower() if dot > path.rfind("/") + 1 else ""


def path_excerpt(path: str) -> str:
    """A path of a file system as text that can be stored and shown, shortened."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "replace").replace("\0", "�")[: LENGTH // 4]


def path_of_url(text: str) -> str:
    try:
        url = urlsplit(text)
    except ValueError:
        raise invalid_path("It is not a URL.") from None
    if url.scheme != "file" or url.netloc not in ("", "localhost") or url.query or url.fragment:
        raise invalid_path("A URL is written `file:///directory`.")
    path = os.fsdecode(unquote_to_bytes(url.path))
    if not is_storable(path):
        raise invalid_path("It is not text in UTF-8.")
    return path


def invalid_path(reason: str) -> Invalid:
    """Why a text cannot be the path of a dataset."""
    return Invalid(f"This cannot be a dataset's path. {reason}", code="INVALID_PATH")
