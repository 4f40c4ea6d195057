"""Samples and their annotations as plain Python: the expected result of labelling and annotating."""

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Annotation:
    label: str
    by: str
    confirmed: bool = True
    left: int | None = None

    @property
    def key(self) -> tuple[str, int | None]:
        return self.label, self.left

    @property
    def shaped(self) -> bool:
        return self.left is not None

    def __str__(self) -> str:
        left = "" if self.left is None else self.left
        return f"{self.label} {'t' if self.confirmed else 'f'} {left} {self.by}"


@dataclass
class Sample:
    """`annotations` in the order in which they were made, which is that of their ids."""

    annotations: list[Annotation] = field(default_factory=list)
    labeled_by: str | None = None
    origin: str | None = None

    def names(self) -> set[str]:
        return {annotation.label for annotation in self.annotations if annotation.confirmed}

    def suggested(self) -> set[str]:
        return {annotation.label for annotation in self.annotations if not annotation.confirmed}

    def add_labels(self, names: list[str], by: str) -> None:
        """New ones in the order of the names."""
        for annotation in self.annotations:
            if annotation.label in names and not annotation.confirmed:
                annotation.confirmed, annotation.by = True, by
        there = {annotation.label for annotation in self.annotations}
        self.annotations += [Annotation(name, by) for name in names if name not in there]

    def replace(self, before: str, after: str, by: str | None) -> None:
        def has(label: str, **like: bool) -> bool:
            return any(m.label == label and all(getattr(m, k) == v for k, v in like.items()) for m in self.annotations)

        is_confirmed = has(after, confirmed=True)
        any_after = has(after)
        drops_suggestion = has(before, confirmed=True, shaped=False)
        kept = []
        for annotation in self.annotations:
            doubled = (
                annotation.label == before
                and not annotation.shaped
                and (is_confirmed or (any_after and not annotation.confirmed))
            )
            is_suggestion = (
                annotation.label == after and not annotation.shaped and not annotation.confirmed and drops_suggestion
            )
            if not doubled and not is_suggestion:
                kept.append(annotation)
        for annotation in kept:
            if annotation.label == before:
                annotation.label, annotation.by = after, by or annotation.by
        self.annotations = kept

    def annotated(self, edit: "Edit", by: str) -> bool:
        """Whether anything changes."""
        changed = edit.remove is not None
        updated = None if edit.update is None else self.annotations[edit.update]
        removed = None if edit.remove is None else self.annotations[edit.remove]
        self.annotations = [annotation for annotation in self.annotations if annotation is not removed]
        if updated is not None:
            changed |= self._updated(updated, edit.to, by)
        for label, left in dict.fromkeys(edit.add):
            same = [annotation for annotation in self.annotations if annotation.key == (label, left)]
            if not same:
                self.annotations.append(Annotation(label, by, left=left))
            elif not any(annotation.confirmed for annotation in same):
                same[0].confirmed, same[0].by = True, by
            else:
                continue
            changed = True
        return changed

    def _updated(self, annotation: Annotation, to: tuple[str | None, int | None], by: str) -> bool:
        label, left = to[0] or annotation.label, annotation.left if to[1] is None else to[1]
        if annotation.confirmed and annotation.key == (label, left):
            return False
        annotation.label, annotation.left, annotation.confirmed, annotation.by = label, left, True, by
        self.annotations = [
            other
            for other in self.annotations
            if other is annotation or annotation.shaped or other.key != annotation.key
        ]
        return True

    def set_author(self, by: str | None) -> None:
        if not self.names():
            self.labeled_by, self.origin = None, "MANUAL"
        elif by is not None:
            self.labeled_by, self.origin = by, "MANUAL"

    def rows(self) -> tuple[Any, ...]:
        return self.labeled_by, self.origin, [str(annotation) for annotation in self.annotations]


@dataclass
class Edit:
    """Annotations to add, by label and left edge; one to update, in label or left edge; one to remove. Existing ones
    are named by their position in the order of ids."""

    add: list[tuple[str, int | None]]
    update: int | None = None
    to: tuple[str | None, int | None] = (None, None)
    remove: int | None = None

    def names(self) -> set[str]:
        becomes = {self.to[0]} if self.update is not None and self.to[0] else set()
        return {label for label, _ in self.add} | becomes
