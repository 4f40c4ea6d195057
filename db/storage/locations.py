"""The locations that the server's owner allows for datasets: directories below the roots, and buckets."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from db.formats.names import is_storable
from db.formats.paths import LENGTH, input_path, invalid_path, known_path, output_path

S3: Final = "s3://"
BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


@dataclass(frozen=True, slots=True)
class AllowedLocations:
    """`buckets` None: all that the server's keys open. Without `s3` there are only directories."""

    roots: tuple[Path, ...] = ()
    buckets: frozenset[str] | None = None
    s3: bool = False

    def input(self, text: str) -> str:
        """An input path, normalized: a real directory, or `s3://bucket/prefix/`. Raises INVALID_PATH."""
        return self._bucket(text) if is_bucket(text) else input_path(text, self.roots)

    def known(self, path: str) -> str:
        """A normalized path, if it is still allowed. Raises INVALID_PATH. Accesses no disk."""
        return self._bucket(path) if is_bucket(path) else known_path(path, self.roots)

    def _bucket(self, text: str) -> str:
        bucket, prefix = bucket_of(text)
        if not self.s3:
            raise invalid_path("This server has no S3 set up (`LABELGRAPH_S3_…`).")
        if self.buckets is not None and bucket not in self.buckets:
            raise invalid_path("This bucket is not one that the server's owner allowed (`LABELGRAPH_S3_BUCKETS`).")
        return f"{S3}{bucket}/{prefix}"

    def output(self, text: str, *, source: str) -> str:
        """An output path, normalized: neither the input path nor below it, where a sync would find what is written."""
        if not is_bucket(text):
            return output_path(text, self.roots, source=source)
        path = self.input(text)
        if path.startswith(source):
            raise invalid_path("The output path must lie outside the input path.")
        return path


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
