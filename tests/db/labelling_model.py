"""Samples and what is marked on them as plain Python: what every way of labelling and annotating comes to."""

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Mark:
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
    """`marks` in the order in which they were made, which is that of their ids."""

    marks: list[Mark] = field(default_factory=list)
    labeled_by: str | None = None
    origin: str | None = None

    def names(self) -> set[str]:
        return {mark.label for mark in self.marks if mark.confirmed}

    def suggested(self) -> set[str]:
        return {mark.label for mark in self.marks if not mark.confirmed}

    def put(self, names: list[str], by: str) -> None:
        """New ones in the order of the names."""
        for mark in self.marks:
            if mark.label in names and not mark.confirmed:
                mark.confirmed, mark.by = True, by
        there = {mark.label for mark in self.marks}
        self.marks += [Mark(name, by) for name in names if name not in there]

    def turn(self, before: str, after: str, by: str | None) -> None:
        def has(label: str, **like: bool) -> bool:
            return any(m.label == label and all(getattr(m, k) == v for k, v in like.items()) for m in self.marks)

        sure = has(after, confirmed=True)
        any_after = has(after)
        drops_guess = has(before, confirmed=True, shaped=False)
        kept = []
        for mark in self.marks:
            doubled = mark.label == before and not mark.shaped and (sure or (any_after and not mark.confirmed))
            guess = mark.label == after and not mark.shaped and not mark.confirmed and drops_guess
            if not doubled and not guess:
                kept.append(mark)
        for mark in kept:
            if mark.label == before:
                mark.label, mark.by = after, by or mark.by
        self.marks = kept

    def annotated(self, edit: "Edit", by: str) -> bool:
        """Whether anything changes."""
        changed = edit.remove is not None
        updated = None if edit.update is None else self.marks[edit.update]
        removed = None if edit.remove is None else self.marks[edit.remove]
        self.marks = [mark for mark in self.marks if mark is not removed]
        if updated is not None:
            changed |= self._updated(updated, edit.to, by)
        for label, left in dict.fromkeys(edit.add):
            same = [mark for mark in self.marks if mark.key == (label, left)]
            if not same:
                self.marks.append(Mark(label, by, left=left))
            elif not any(mark.confirmed for mark in same):
                same[0].confirmed, same[0].by = True, by
            else:
                continue
            changed = True
        return changed

    def _updated(self, mark: Mark, to: tuple[str | None, int | None], by: str) -> bool:
        label, left = to[0] or mark.label, mark.left if to[1] is None else to[1]
        if mark.confirmed and mark.key == (label, left):
            return False
        mark.label, mark.left, mark.confirmed, mark.by = label, left, True, by
        self.marks = [other for other in self.marks if other is mark or mark.shaped or other.key != mark.key]
        return True

    def settle(self, by: str | None) -> None:
        if not self.names():
            self.labeled_by, self.origin = None, "MANUAL"
        elif by is not None:
            self.labeled_by, self.origin = by, "MANUAL"

    def told(self) -> tuple[Any, ...]:
        return self.labeled_by, self.origin, [str(mark) for mark in self.marks]


@dataclass
class Edit:
    """Marks to put, by label and left edge; one to be another, in label or place; one to take off. Marks that are there
    are named by their place in the order of ids."""

    add: list[tuple[str, int | None]]
    update: int | None = None
    to: tuple[str | None, int | None] = (None, None)
    remove: int | None = None

    def names(self) -> set[str]:
        becomes = {self.to[0]} if self.update is not None and self.to[0] else set()
        return {label for label, _ in self.add} | becomes
