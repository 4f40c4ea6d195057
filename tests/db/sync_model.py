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
        vanished = {path: source for path, source in sorted(self.sources.items()) if path not in self.files}
        for path in sorted(self.files):
            if path in self.sources:
                self._known(path, self.sources[path], done, overwrite, restore)
            else:
                self._new(path, vanished, done, overwrite)
        for path, source in vanished.items():
            if source.sample is None or remove:
                done["removed"] += source.sample is not None
                del self.sources[path]
            else:
                source.status = "GONE"
        return done

    def _new(self, path: str, vanished: dict[str, Source], done: Counter[str], overwrite: bool) -> None:
        content, text = self.files[path], self.texts.get(_stem(path))
        if content == BAD:
            self.sources[path] = Source(BAD, "UNREADABLE")
            done["skipped"] += 1
            return
        origin = _origin(path, content, vanished)
        if origin is None:
            self.sources[path] = Source(content, seen=text, sample=_fresh(text))
            done["added"] += 1
            return
        source = vanished.pop(origin)
        del self.sources[origin]
        self.sources[path] = source
        source.status = "PRESENT"
        if source.sample is not None:
            done["moved"] += 1
            done["updated"] += _apply(source, source.sample, text, overwrite)

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


def _origin(path: str, content: str, vanished: dict[str, Source]) -> str | None:
    """Where a new file came from: a vanished one of its content, of its name if there is such a one."""
    equal = [old for old, source in vanished.items() if source.content == content and source.status != "UNREADABLE"]
    named = [old for old in equal if old.rpartition("/")[2] == path.rpartition("/")[2]]
    return next(iter(named or equal), None)


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
