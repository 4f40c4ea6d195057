"""The options of an import."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from db.errors import Invalid
from db.formats.datasets.reading import OutOfBounds
from db.formats.names import is_storable, nfc
from db.ingest.policy import ExistingWork

MANIFEST: Final = "MODELARTS_MANIFEST"  # the format of manifests
Images = Literal["MATCH", "STORE"]
MAX_MAPPED: Final = 10_000  # labels of a file that get other names


@dataclass(frozen=True, slots=True)
class Options:
    """`path`: the one form of the file's or folder's location; of one that is `uploaded` its name, behind a slash.
    `format` None: it is to be found. `source_root`: what a manifest's sources lie below, in its one form, ending with a
    slash. `mapped`: the names that labels of the file get, by the names that they have there. `dataset_ids`: of a token
    confined to them, whose locations are all that may be read. `images`: what becomes of those in the files.
    `staged`: the name of a file that was uploaded in parts."""

    path: str
    format: str | None = MANIFEST
    existing: ExistingWork = "KEEP"
    out_of_bounds: OutOfBounds = "REFUSE"
    source_root: str | None = None
    restore_removed: bool = False
    confirm_suggestions: bool = False
    mapped: dict[str, str] | None = None
    included: list[str] | None = None
    excluded: list[str] | None = None
    dry_run: bool = False
    uploaded: bool = False
    dataset_ids: list[int] | None = None
    images: Images = "MATCH"
    staged: str | None = None

    @property
    def file_name(self) -> str:
        """The file's name, as warnings name it."""
        return self.path.rpartition("/")[2][:200]

    @property
    def folder(self) -> str:
        """The file's folder; ends with a slash."""
        return self.path[: self.path.rindex("/") + 1]

    def includes(self, name: str) -> bool:
        """Whether labels of this name are imported."""
        return (self.included is None or name in self.included) and name not in (self.excluded or ())


def upload_path(name: str) -> str:
    """The path of an uploaded file of this name: only messages show it."""
    last = name.replace("\\", "/").rpartition("/")[2]
    return f"/{last if last and is_storable(last) else 'upload'}"


def label_names(names: Iterable[str] | None) -> list[str] | None:
    """Names in their one form; those that no label can have are left out."""
    return None if names is None else [nfc(name) for name in names if is_storable(name)]


def mapped_names(pairs: Iterable[tuple[str, str]] | None) -> Mapping[str, str] | None:
    """Each name once. Raises Invalid."""
    if pairs is None:
        return None
    found: dict[str, str] = {}
    for old, new in pairs:
        if not is_storable(old) or not is_storable(new):
            continue
        if found.setdefault(nfc(old), nfc(new)) != nfc(new):
            raise Invalid(f"`labels.map` has two names for `{old[:64]}`.", path="labels.map")
    if len(found) > MAX_MAPPED:
        raise Invalid(f"`labels.map` has at most {MAX_MAPPED:,} names.", path="labels.map", most=MAX_MAPPED)
    return found
