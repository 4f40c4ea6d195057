"""Samples and what is marked on them as plain Python: what every way of labelling and annotating comes to."""

from dataclasses import dataclass, field, replace
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
    marks: list[Mark] = field(default_factory=list)
    labeled_by: str | None = None
    origin: str | None = None

    def names(self) -> set[str]:
        return {mark.label for mark in self.marks if mark.confirmed}

    def suggested(self) -> set[str]:
        return {mark.label for mark in self.marks if not mark.confirmed}

    def put(self, names: set[str], by: str) -> None:
        for mark in self.marks:
            if mark.label in names and not mark.confirmed:
                mark.confirmed, mark.by = True, by
        self.marks += [Mark(name, by) for name in sorted(names - {mark.label for mark in self.marks})]

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
        """Whether anything changes. Marks that are equal cannot be told apart, and need not be."""
        changed = edit.remove is not None
        updated, final = edit.update, edit.final()
        if edit.remove is not None:
            self._take(edit.remove)
        if updated is not None and final is not None and (final.key != updated.key or not updated.confirmed):
            changed = True
            self._take(updated)
            self.marks = [m for m in self.marks if final.shaped or m.key != final.key] + [replace(final, by=by)]
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

    def _take(self, mark: Mark) -> None:
        self.marks.pop([str(each) for each in self.marks].index(str(mark)))

    def settle(self, by: str | None) -> None:
        if not self.names():
            self.labeled_by, self.origin = None, "MANUAL"
        elif by is not None:
            self.labeled_by, self.origin = by, "MANUAL"

    def told(self) -> tuple[Any, ...]:
        return self.labeled_by, self.origin, sorted(map(str, self.marks))


@dataclass
class Edit:
    """Marks to put, by label and left edge; one to be another, in label or place; one to take off."""

    add: list[tuple[str, int | None]]
    update: Mark | None = None
    to: tuple[str | None, int | None] = (None, None)
    remove: Mark | None = None

    def final(self) -> Mark | None:
        if self.update is None:
            return None
        label, left = self.to
        return replace(
            self.update,
            label=label or self.update.label,
            left=self.update.left if left is None else left,
            confirmed=True,
        )

    def names(self) -> set[str]:
        return {label for label, _ in self.add} | ({self.to[0]} if self.update and self.to[0] else set())
