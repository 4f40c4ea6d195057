"""What a sync should do, a second time: plain Python over plain dicts, slow and obvious."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

Status = Literal["PRESENT", "UNREADABLE", "GONE"]
BAD = "bad"  # the content that is no image


@dataclass
class Sample:
    """`number` is learnt from the database when the sample is first seen, and must stay the same from then on."""

    labels: frozenset[str] = frozenset()
    origin: str | None = None
    number: int | None = None


@dataclass
class Source:
    content: str
    status: Status = "PRESENT"
    seen: str | None = None  # the sidecar text that was last taken notice of
    sample: Sample | None = None


@dataclass
class Model:
    """`files`: content by path; `texts`: sidecar text by stem; `sources`: by path."""

    files: dict[str, str] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    sources: dict[str, Source] = field(default_factory=dict)

    @property
    def samples(self) -> dict[str, Sample]:
        return {path: source.sample for path, source in self.sources.items() if source.sample is not None}

    def sync(self, *, overwrite: bool, remove: bool, restore: bool) -> Counter[str]:
        done: Counter[str] = Counter()
        self._move(done, overwrite)
        vanished = {path: source for path, source in self.sources.items() if path not in self.files}
        for path in sorted(self.files):
            if path in self.sources:
                self._known(path, self.sources[path], done, overwrite, restore)
            else:
                self._new(path, done)
        for path, source in vanished.items():
            if source.sample is None or remove:
                done["removed"] += source.sample is not None
                del self.sources[path]
            else:
                source.status = "GONE"
        return done

    def _move(self, done: Counter[str], overwrite: bool) -> None:
        """Samples go where their pictures are. What was there is displaced, also by a copy of a known picture."""
        origins = {path: source for path, source in sorted(self.sources.items()) if self._has_left(path, source)}
        targets = [path for path in sorted(self.files) if self._is_fresh(path)]
        moves = _matched(origins, {path: self.files[path] for path in targets})
        copies = [path for path in targets if path not in moves and path in self.sources and self._is_copy(path)]
        former = dict(self.sources)
        for path in {*moves, *moves.values(), *copies}:
            self.sources.pop(path, None)
        leaving = {path for path in {*moves, *copies} if path in former} - set(moves.values())
        done["removed"] += sum(former[path].sample is not None for path in leaving)
        for path, origin in moves.items():
            self.sources[path] = source = former[origin]
            source.status = "PRESENT"
        seen = {path: source.seen for path, source in former.items()}
        for path in moves:
            done["moved"] += self.sources[path].sample is not None
            done["updated"] += self._see_sidecar(path, seen.get(path), overwrite)

    def _has_left(self, path: str, source: Source) -> bool:
        return _can_move(source) and self.files.get(path) != source.content

    def _is_fresh(self, path: str) -> bool:
        content = self.files[path]
        return content != BAD and (path not in self.sources or self.sources[path].content != content)

    def _is_copy(self, path: str) -> bool:
        others = [source for other, source in self.sources.items() if other != path and _can_move(source)]
        return any(source.content == self.files[path] for source in others)

    def _see_sidecar(self, path: str, seen_here: str | None, overwrite: bool) -> bool:
        """A sidecar that lay there before, unchanged, is about the picture that was there before."""
        source, text = self.sources[path], self.texts.get(_stem(path))
        if text is not None and text == seen_here and not overwrite:
            source.seen = text
        return source.sample is not None and _apply(source, source.sample, text, overwrite)

    def _new(self, path: str, done: Counter[str]) -> None:
        content, text = self.files[path], self.texts.get(_stem(path))
        if content == BAD:
            self.sources[path] = Source(BAD, "UNREADABLE")
            done["skipped"] += 1
        else:
            self.sources[path] = Source(content, seen=text, sample=_fresh(text))
            done["added"] += 1

    def _known(self, path: str, source: Source, done: Counter[str], overwrite: bool, restore: bool) -> None:
        content, text = self.files[path], self.texts.get(_stem(path))
        changed = content != source.content
        if content == BAD and (changed or source.status == "UNREADABLE"):
            done["skipped"] += 1
            if source.sample is None:
                self.sources[path] = Source(BAD, "UNREADABLE")
        elif source.sample is not None:
            source.content, source.status = content, "PRESENT"
            done["updated"] += _apply(source, source.sample, text, overwrite) or changed
        elif changed or restore:
            self.sources[path] = Source(content, seen=text, sample=_fresh(text))
            done["added"] += 1


def _can_move(source: Source) -> bool:
    return source.content != BAD and (source.status == "PRESENT" or source.sample is not None)


def _matched(origins: dict[str, Source], targets: dict[str, str]) -> dict[str, str]:
    """Where each target came from: an origin of its content, first of its name as well, the first by path."""
    moves: dict[str, str] = {}
    for same_name in (True, False):
        for path, content in targets.items():
            equal = [old for old, source in origins.items() if source.content == content and old not in moves.values()]
            fitting = [old for old in equal if not same_name or _name(old) == _name(path)]
            if path not in moves and fitting:
                moves[path] = fitting[0]
    return moves


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _fresh(text: str | None) -> Sample:
    labels = labels_of(text) or frozenset()
    return Sample(labels, "SYNC" if labels else None)


def _apply(source: Source, sample: Sample, text: str | None, overwrite: bool) -> bool:
    """Whether the sidecar changed the sample's labels."""
    news = text != source.seen or (overwrite and sample.origin not in (None, "SYNC"))
    if text is None or not news or not (overwrite or sample.origin in (None, "SYNC")):
        return False
    source.seen = text
    labels = labels_of(text)
    if labels is None or labels == sample.labels:
        return False
    sample.labels, sample.origin = labels, "SYNC"
    return True


def labels_of(text: str | None) -> frozenset[str] | None:
    """The labels that a text names; a line with `!` is no label, and a text of nothing else says nothing."""
    if text is None:
        return None
    lines = text.split()
    good = frozenset(line for line in lines if "!" not in line)
    return good if good or not lines else None


def _stem(path: str) -> str:
    return path.rpartition(".")[0]
