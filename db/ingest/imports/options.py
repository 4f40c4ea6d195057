"""The options of an import."""

from collections.abc import Iterable
from dataclasses import dataclass

from db.formats.names import is_storable, nfc
from db.ingest.decide import ExistingWork


@dataclass(frozen=True, slots=True)
class Options:
    """`manifest`: the file's one form. `source_root`: what the manifest's sources lie below, in its one form, ending
    with a slash. `dataset_ids`: of a token confined to them, whose locations are all that may be read."""

    manifest: str
    existing: ExistingWork = "KEEP"
    source_root: str | None = None
    restore_removed: bool = False
    confirm_suggestions: bool = False
    included: list[str] | None = None
    excluded: list[str] | None = None
    dataset_ids: list[int] | None = None

    @property
    def file_name(self) -> str:
        """The manifest's name, as warnings name it."""
        return self.manifest.rpartition("/")[2][:200]

    @property
    def folder(self) -> str:
        """The manifest's folder; ends with a slash."""
        return self.manifest[: self.manifest.rindex("/") + 1]

    def includes(self, name: str) -> bool:
        """Whether labels of this name are imported."""
        return (self.included is None or name in self.included) and name not in (self.excluded or ())


def label_names(names: Iterable[str] | None) -> list[str] | None:
    """Names in their one form; those that no label can have are left out."""
    return None if names is None else [nfc(name) for name in names if is_storable(name)]
