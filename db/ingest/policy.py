"""What differs between syncs, imports and uploads when their entries are merged."""

from dataclasses import dataclass
from typing import Any, Final, Literal, Self

from db.formats.annotations import Author, ParsedAnnotation

ExistingWork = Literal["KEEP", "OVERWRITE"]
SYNC_AUTHOR: Final = Author("sync")  # of what a sidecar says
MANIFEST_AUTHOR: Final = Author("human")  # of what a manifest says of nobody
IMPORT_AUTHOR: Final = Author("import")  # of what a file of another format says of nobody


@dataclass(frozen=True, slots=True)
class Policy:
    """`origin`: of samples and annotations, and the name of the job in a change's summary. `author`: of annotations
    that name none. `replaceable`: the origins of labels that may be replaced, None for all.

    `exact`: authors and times that an entry gives, and suggestions, are compared too; otherwise suggestions stay, and
    labels and shapes decide.
    `clears`: an entry without labels removes those of its sample.
    """

    origin: Literal["SYNC", "IMPORT", "UPLOAD"]
    author: Author
    replaceable: tuple[str, ...] | None = None
    restore_removed: bool = False
    exact: bool = False
    clears: bool = True

    @classmethod
    def of_sync(cls, existing: ExistingWork, *, restore_removed: bool) -> Self:
        """Sidecars replace what sidecars said before."""
        replaceable = None if existing == "OVERWRITE" else ("SYNC",)
        return cls("SYNC", SYNC_AUTHOR, replaceable, restore_removed)

    @classmethod
    def of_import(cls, existing: ExistingWork, *, restore_removed: bool, author: Author = MANIFEST_AUTHOR) -> Self:
        """A file replaces labels that neither a person nor a script put last."""
        overwrites = existing == "OVERWRITE"
        replaceable = None if overwrites else ("SYNC", "IMPORT", "MODEL")
        return cls("IMPORT", author, replaceable, restore_removed, exact=True, clears=overwrites)

    @property
    def overwrites(self) -> bool:
        return self.replaceable is None

    def may_label(self, origin: str | None) -> bool:
        """Whether the labels that came to a sample this way may be replaced."""
        return origin is None or self.replaceable is None or origin in self.replaceable

    def author_of(self, annotation: ParsedAnnotation) -> Author:
        return annotation.author or self.author

    def comparison_key(self, annotation: ParsedAnnotation) -> tuple[Any, ...]:
        """Equal for annotations that may be the same, whatever their authors and times. If `exact`, attributes and
        confidences are compared later, as an entry may leave them out; otherwise the confidence of a label of the
        whole image does not count."""
        content = annotation.label, annotation.shape
        if self.exact:
            return *content, self.author_of(annotation).confirmed
        return *content, annotation.attributes, None if annotation.shape is None else annotation.confidence
