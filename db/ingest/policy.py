"""What differs between the sources of samples once their entries are known."""

from dataclasses import dataclass
from typing import Any, Final, Literal, Self

from db.formats.annotations import Author, ParsedAnnotation

ExistingWork = Literal["KEEP", "OVERWRITE"]
SYNC_AUTHOR: Final = Author("sync")  # of what a sidecar says
MANIFEST_AUTHOR: Final = Author("human")  # of what a manifest says of nobody


@dataclass(frozen=True, slots=True)
class Policy:
    """`origin`: of samples and annotations, and the name of the job in a change's summary. `author`: of annotations
    that name none. `replaceable`: the origins of labels that may be replaced, None for all.

    `exact`: authors, times and suggestions are compared too; otherwise suggestions stay, and labels and shapes decide.
    `clears`: an entry without labels takes those of its sample away.
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
    def of_import(cls, existing: ExistingWork, *, restore_removed: bool) -> Self:
        """A manifest replaces what neither a person nor his script put last."""
        overwrites = existing == "OVERWRITE"
        replaceable = None if overwrites else ("SYNC", "IMPORT", "MODEL")
        return cls("IMPORT", MANIFEST_AUTHOR, replaceable, restore_removed, exact=True, clears=overwrites)

    @property
    def overwrites(self) -> bool:
        return self.replaceable is None

    def may_label(self, origin: str | None) -> bool:
        """Whether the labels that came to a sample this way may be replaced."""
        return origin is None or self.replaceable is None or origin in self.replaceable

    def author_of(self, annotation: ParsedAnnotation) -> Author:
        return annotation.author or self.author

    def comparison_key(self, annotation: ParsedAnnotation) -> tuple[Any, ...]:
        """The same for two annotations that are the same, whenever they were put. Where authors do not count, neither
        does how sure somebody is of a label for the whole image."""
        content = annotation.label, annotation.shape, annotation.attributes
        if self.exact:
            author = self.author_of(annotation)
            return *content, annotation.confidence, author.by, author.confirmed
        return *content, None if annotation.shape is None else annotation.confidence
