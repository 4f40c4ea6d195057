"""The locations that the server's owner allows for datasets: directories below the roots, and buckets.

The links of a local path are resolved before it is compared with the roots. The real path is stored, so a link that is
changed later has no effect.
"""

import errno
import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from db.formats.names import is_storable
from db.formats.paths import LENGTH, invalid_path, path_of_url

S3: Final = "s3://"
BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
NAME_LENGTH: Final = 255  # bytes of one name, as file systems allow
NO_PATH: Final = "Give an absolute path, a `file://` URL, or `s3://bucket/prefix/`."
UNUSABLE: Final = "The server cannot open it as a directory."
PROBLEMS: Final = {
    errno.EACCES: "The server may not enter this directory, or one above it; give it the rights to read it.",
    errno.ELOOP: "Symbolic links in the path form a loop.",
    errno.ENAMETOOLONG: f"A name in it is too long; file systems take at most {NAME_LENGTH} bytes.",
    errno.ENOTDIR: "It is a file, or below a file; give the directory of the images.",
}


@dataclass(frozen=True, slots=True)
class AllowedLocations:
    """`buckets` None: all that the server's keys open. Without `s3` there are only directories."""

    roots: tuple[Path, ...] = ()
    buckets: frozenset[str] | None = None
    s3: bool = False

    def input(self, text: str) -> str:
        """An input path, normalized: `s3://bucket/prefix/`, or a real directory, which can be read or does not exist
        yet. Raises INVALID_PATH."""
        if is_bucket(text):
            return self._bucket(text)
        if not is_storable(text) or not text.isprintable() or not 1 <= len(text.encode()) <= LENGTH:
            raise invalid_path(f"It has 1 to {LENGTH} bytes, none of them a control character.")
        path = path_of_url(text) if "://" in text else text
        if not path.startswith("/"):
            raise invalid_path(NO_PATH)
        if any(len(part.encode()) > NAME_LENGTH for part in path.split("/")):
            raise invalid_path(PROBLEMS[errno.ENAMETOOLONG])
        try:
            directory = self._directory(Path(path).resolve())
            with suppress(FileNotFoundError):
                os.close(os.open(f"{directory}/.", os.O_RDONLY | os.O_CLOEXEC))
        except OSError as error:
            raise invalid_path(PROBLEMS.get(error.errno or 0, UNUSABLE)) from None
        except (RuntimeError, ValueError):
            raise invalid_path(PROBLEMS[errno.ELOOP]) from None
        return directory

    def output(self, text: str, *, source: str) -> str:
        """An output path, normalized: neither the input path nor below it, where a sync would find what is written."""
        path = self.input(text)
        if f"{path.rstrip('/')}/".startswith(f"{source.rstrip('/')}/"):
            raise invalid_path("The output path must lie outside the input path.")
        return path

    def known(self, path: str) -> str:
        """A normalized path, if it is still allowed. Raises INVALID_PATH. Accesses no disk, and follows no link."""
        if is_bucket(path):
            return self._bucket(path)
        directory = Path(os.path.normpath(path))
        if not directory.is_absolute():
            raise invalid_path(NO_PATH)
        return self._directory(directory)

    def _directory(self, path: Path) -> str:
        if not any(path.is_relative_to(root) for root in self.roots):
            raise invalid_path("It is not below a directory that this server's owner allowed (`--allow-root`).")
        return str(path)

    def _bucket(self, text: str) -> str:
        bucket, prefix = bucket_of(text)
        if not self.s3:
            raise invalid_path("This server has no S3 set up (`LABELGRAPH_S3_…`).")
        if self.buckets is not None and bucket not in self.buckets:
            raise invalid_path("This bucket is not one that the server's owner allowed (`LABELGRAPH_S3_BUCKETS`).")
        return f"{S3}{bucket}/{prefix}"


def is_bucket(text: str) -> bool:
    return text.startswith(S3)


def bucket_of(text: str) -> tuple[str, str]:
    """The bucket of an S3 URL, and its prefix, which is empty or ends with a slash. Raises INVALID_PATH."""
    bucket, _, prefix = text.removeprefix(S3).partition("/")
    if not BUCKET.fullmatch(bucket) or ".." in bucket:
        raise invalid_path(
            "Write `s3://bucket/prefix/`; a bucket's name has 3 to 63 lower-case letters, digits, dots and hyphens."
        )
    parts = prefix.removesuffix("/").split("/") if prefix else []
    if not is_storable(prefix) or not prefix.isprintable() or len(prefix.removesuffix("/").encode()) > LENGTH // 2:
        raise invalid_path(f"A prefix has at most {LENGTH // 2} bytes, none of them a control character.")
    if any(part in ("", ".", "..") for part in parts):
        raise invalid_path("A prefix has no empty parts, and none that is `.` or `..`.")
    return bucket, "".join(f"{part}/" for part in parts)
