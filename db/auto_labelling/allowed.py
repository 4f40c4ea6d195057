"""Which models the server's owner allows: files below folders, and hosts of models behind HTTP."""

import os
import re
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self
from urllib.parse import unquote, urlsplit

from db.errors import Invalid
from db.formats.names import excerpt, is_storable, quoted
from db.storage import Disks

PORTS: Final = {"http": 80, "https": 443}
MAX_URL: Final = 2_000  # characters of a URL, or of a path
HOST: Final = re.compile(
    r"(?:(?P<user>[^:@/]+):(?P<password>[^@/]*)@)?(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+):(?P<port>[0-9]{1,5})"
)


@dataclass(frozen=True, slots=True)
class ModelHost:
    """Where the server's owner allows models behind HTTP, and with which credentials they are asked."""

    host: str
    port: int
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Of `host:port` or `user:password@host:port`. Raises ValueError."""
        found = HOST.fullmatch(text)
        if found is None or not 0 < int(found["port"]) < 65_536:
            raise ValueError("it should be hosts as models.example.com:9090, or user:password@models.example.com:9090")
        user, password = (each and unquote(each) for each in (found["user"], found["password"]))
        return cls(found["host"].strip("[]").lower(), int(found["port"]), user, password)


@dataclass(frozen=True, slots=True)
class Address:
    """A URL that is allowed."""

    url: str
    host: ModelHost

    @property
    def name(self) -> str:
        return f"{self.host.host}:{self.host.port}"


@dataclass(frozen=True, slots=True)
class AllowedModels:
    """`base`: the URL of this server as models behind HTTP reach it; None: as clients do. `disks`: whose threads read
    files of models."""

    hosts: tuple[ModelHost, ...] = ()
    folders: tuple[Path, ...] = ()
    base: str | None = None
    disks: Disks = field(default_factory=Disks, repr=False)

    def address(self, url: str) -> Address:
        """Raises Invalid for what is no URL, and for a host that the owner does not allow."""
        try:
            parts = urlsplit(url)
            host, port = (parts.hostname or "").lower(), parts.port or PORTS.get(parts.scheme, 0)
        except ValueError:
            host, port, parts = "", 0, urlsplit("")
        is_url = host and port and parts.scheme in PORTS and len(url) <= MAX_URL and url.isascii() and url.isprintable()
        if not is_url or " " in url or parts.fragment:
            message = f"`model.http.url` must be a URL such as http://host:port/path, and is {quoted(url)}."
            raise Invalid(message, path="model.http.url")
        if "@" in parts.netloc:
            message = "The URL of a model contains no user or password: the server's owner sets them with its host."
            raise Invalid(message, path="model.http.url")
        for allowed in self.hosts:
            if (allowed.host, allowed.port) == (host, port):
                return Address(url.rstrip("/"), allowed)
        message = (
            f"The server's owner does not allow models at {host}:{port}; the setting LABELGRAPH_MODEL_HOSTS lists what "
            "is allowed."
        )
        raise Invalid(message, path="model.http.url")

    async def file(self, path: str) -> Path:
        """The file of a model, links followed; it is there. Raises INVALID_PATH, or StorageError where a disk does not
        answer."""
        if not path or not is_storable(path) or len(path) > MAX_URL:
            message = f"`model.onnx.path` must be the path of an ONNX file, and is {quoted(path)}."
            raise Invalid(message, code="INVALID_PATH")
        for folder in self.folders:
            found = await self.disks.resolving(str(folder / path)).run(_file, folder, path)
            if found is not None:
                return found
        message = (
            f"There is no ONNX file `{excerpt(path)}`, with the JSON file of its name next to it, in the folders that "
            "the server's owner allows; the setting LABELGRAPH_MODELS lists them."
        )
        raise Invalid(message, code="INVALID_PATH")


def _file(folder: Path, path: str) -> Path | None:
    """Accesses the disk."""
    with suppress(OSError):  # a name that is too long, or a folder that may not be entered
        file = Path(os.path.realpath(folder / path))
        description = Path(os.path.realpath(file.with_suffix(".json")))
        is_below = file.is_relative_to(folder) and description.is_relative_to(folder)
        if is_below and file.suffix.lower() == ".onnx" and file.is_file():
            return file
    return None
