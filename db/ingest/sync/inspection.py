"""Reading what is new or changed: first bytes, image facts, sidecars. Nothing is written here, and no lock is held."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum, auto
from typing import Final, Literal, Self, cast

import asyncpg
from pydantic import TypeAdapter

from db.errors import StorageError
from db.formats import images
from db.formats.images import ImageFacts, ImageLimits
from db.formats.names import LabelNameRule
from db.formats.shapes import Raster
from db.formats.sidecars import Format, ParsedAnnotation, Sidecar, format_of
from db.ingest import damage
from db.storage import Head, ObjectMissing, RootMissing, Store

MIB: Final = 1024 * 1024
CHUNK: Final = 100  # images whose first bytes are in memory at once
SIDECARS: Final = 16 * 1024 * 1024  # bytes of sidecars in memory at once
ENOUGH: Final = 20_000  # marks that one transaction need not exceed

Action = Literal["NEW", "CHANGED", "RESTORED", "SIDECAR", "UNREADABLE"]


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to do, as planned; `width`, `height` and `orientation` of the image as it was when it was last read.

    `sidecar_path` is what lies next to the image, `sidecar_due` whether it is to be read. `annotations`: how many the
    sample has, if its sidecar is due. `image`: what reading gave, if the image was read before.
    """

    position: int
    action: Action
    path: str
    size: int
    modified_at: datetime
    etag: str | None
    source_id: int | None
    sidecar_path: str | None
    sidecar_etag: str | None
    width: int | None = None
    height: int | None = None
    orientation: int | None = None
    sidecar_due: bool = False
    annotations: int = 0
    image: "Image | None" = None

    @classmethod
    def of(cls, row: asyncpg.Record) -> "Item":
        columns = {name: row[name] for name in cls.__slots__}
        return cls(**columns | {"image": row["image"] and STORED.validate_json(row["image"])})


class Outcome(StrEnum):
    """What reading an item's image gave."""

    READ = auto()
    NOT_NEEDED = auto()
    UNREADABLE = auto()  # remembered: it is tried again when its content changes
    REFUSED = auto()  # not remembered: a limit or a permission may change while the content does not
    GONE = auto()


@dataclass(frozen=True, slots=True)
class Image:
    """An image as it is now. `problem` is the sentence for an image that was not read, or that is damaged; the hashes
    are those of a Head, None where they are not known."""

    outcome: Outcome
    size: int
    modified_at: datetime
    etag: str
    facts: ImageFacts | None = None
    problem: str = ""
    content: str | None = None
    pixels: str | None = None
    changed_at: datetime | None = None

    @classmethod
    def read(cls, head: Head, facts: ImageFacts | None) -> Self:
        return cls(
            Outcome.READ,
            head.size,
            head.modified_at,
            head.etag,
            facts,
            content=head.content,
            pixels=head.pixels,
            changed_at=head.changed_at,
        )

    @property
    def other_hash(self) -> str | None:
        """The hash of the content, where the etag is not that already."""
        return None if self.content == self.etag else self.content

    def stored(self) -> str:
        """As JSON, which `Item.of` reads."""
        return STORED.dump_json(self).decode()

    def as_damaged(self) -> "Image":
        assert self.facts is not None
        return replace(self, facts=replace(self.facts, damaged=True), problem=damage.MESSAGE)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What there is to say of an image that is taken nevertheless."""
        return (self.problem,) if self.facts is not None and self.facts.damaged else ()


STORED: Final = TypeAdapter(Image)


@dataclass(frozen=True, slots=True)
class Found:
    """An item and what reading gave. `sidecar` None: there is none, or it was of no use to know."""

    item: Item
    image: Image
    sidecar: Sidecar | None = None
    sidecar_etag: str | None = None
    warnings: tuple[tuple[str, str], ...] = ()
    refused_names: tuple[tuple[str, str, str, int], ...] = ()  # name, path of the first, message, how many

    @property
    def marks(self) -> tuple[ParsedAnnotation, ...]:
        return (self.sidecar.marks or ()) if self.sidecar is not None else ()


async def inspect(
    store: Store, items: Sequence[Item], *, kind: str, caps: ImageLimits, label_names: LabelNameRule = "STANDARD"
) -> list[Found]:
    """Look at items of a dataset of this type from the first on, in bounded portions, and stop where they say enough
    for one transaction. `label_names`: the dataset's rule. Raises RootMissing when the whole store is away."""
    form = format_of(kind)
    size = max(1, min(CHUNK, SIDECARS // form.max_bytes))
    found: list[Found] = []
    for start in range(0, len(items), size):
        portion = items[start : start + size]
        pictures = await _images(store, portion, caps)
        texts = await _sidecars(store, portion, form)
        found += await asyncio.to_thread(_together, portion, pictures, texts, kind, label_names)
        if sum(len(one.marks) for one in found) >= ENOUGH:
            break
    return found


async def inspect_images(store: Store, items: Sequence[Item], caps: ImageLimits) -> list[Image]:
    """The images of items, in their order, without their sidecars."""
    inspected: list[Image] = []
    for start in range(0, len(items), CHUNK):
        portion = items[start : start + CHUNK]
        found = await _images(store, portion, caps)
        inspected += [found[item.path] for item in portion]
    return inspected


async def _images(store: Store, items: Sequence[Item], caps: ImageLimits) -> dict[str, Image]:
    known = {item.path: image for item in items if (image := _without_reading(item, caps)) is not None}
    paths = [item.path for item in items if item.path not in known]
    heads = dict(zip(paths, await store.heads(paths, length=images.HEAD_SIZE), strict=True))
    for head in heads.values():
        if isinstance(head, RootMissing):
            raise head
    by_path = {item.path: item for item in items}
    known |= await asyncio.to_thread(lambda: {path: _judged(by_path[path], head, caps) for path, head in heads.items()})
    for path, image in known.items():
        if image.outcome is Outcome.UNREADABLE and path in heads and not cast(Head, heads[path]).whole:
            known[path] = await _read_whole(store, path, cast(Head, heads[path]), caps)
    known |= await _hashed(store, known)
    read = {path: cast(Head, heads[path]) for path in heads if known[path].outcome is Outcome.READ}
    for path in await damage.find(store, read, caps):
        known[path] = known[path].as_damaged()
    return known


async def _hashed(store: Store, images: Mapping[str, Image]) -> dict[str, Image]:
    """Images whose etags are no hashes of their content, with such hashes: a file that moves is known by them. One
    that cannot be read to its end just now has none; the next sync tries again."""
    unknown = {path: image for path, image in images.items() if image.outcome is Outcome.READ and image.content is None}
    if not unknown:
        return {}
    hashes = await store.content_hashes([(path, image.etag) for path, image in unknown.items()])
    return {
        path: replace(image, content=content)
        for (path, image), content in zip(unknown.items(), hashes, strict=True)
        if isinstance(content, str)
    }


def _without_reading(item: Item, caps: ImageLimits) -> Image | None:
    if item.image is not None:
        return item.image
    if item.action in ("RESTORED", "SIDECAR"):
        return Image(Outcome.NOT_NEEDED, item.size, item.modified_at, item.etag or "")
    if item.action == "UNREADABLE":
        problem = "Still not readable as an image; it is tried again when its content changes."
        return Image(Outcome.UNREADABLE, item.size, item.modified_at, item.etag or "", problem=problem)
    if item.size > caps.size:
        return _too_large(item.size, item.modified_at, caps)
    return None


def _judged(item: Item, head: Head | StorageError, caps: ImageLimits) -> Image:
    match head:
        case ObjectMissing():
            return Image(Outcome.GONE, item.size, item.modified_at, "")
        case StorageError():
            return Image(Outcome.REFUSED, item.size, item.modified_at, "", problem=head.message)
        case Head() if head.size > caps.size:
            return _too_large(head.size, head.modified_at, caps)
        case Head():
            return _looked_at(head, caps)


def _looked_at(head: Head, caps: ImageLimits) -> Image:
    try:
        return Image.read(head, images.facts(head.data, caps.pixels))
    except images.UnreadableImage as refused:
        return replace(Image.read(head, None), outcome=Outcome.UNREADABLE, problem=refused.message)


async def _read_whole(store: Store, path: str, head: Head, caps: ImageLimits) -> Image:
    """Long metadata may push an image's facts beyond its first bytes."""
    try:
        data = await store.read(path, length=caps.size)
    except RootMissing:
        raise
    except StorageError as failed:
        gone = isinstance(failed, ObjectMissing)
        outcome = Outcome.GONE if gone else Outcome.REFUSED
        return Image(outcome, head.size, head.modified_at, "", problem=failed.message)
    return await asyncio.to_thread(_looked_at, replace(head, data=data), caps)


def _too_large(size: int, modified_at: datetime, caps: ImageLimits) -> Image:
    problem = f"The file has {size / MIB:.1f} MiB; images of at most {caps.size / MIB:g} MiB are taken."
    return Image(Outcome.REFUSED, size, modified_at, "", problem=problem)


async def _sidecars(store: Store, items: Sequence[Item], form: Format) -> dict[str, tuple[str, Head | StorageError]]:
    """By image path: the sidecar's path and its bytes. Two images of one stem share a sidecar, which is read once."""
    due = {item.path: item.sidecar_path for item in items if item.sidecar_due and item.sidecar_path}
    paths = sorted(set(due.values()))
    heads = dict(zip(paths, await store.heads(paths, length=form.max_bytes + 1), strict=True))
    return {path: (sidecar, heads[sidecar]) for path, sidecar in due.items()}


def _together(
    items: Sequence[Item],
    pictures: Mapping[str, Image],
    texts: Mapping[str, tuple[str, Head | StorageError]],
    kind: str,
    label_names: LabelNameRule,
) -> list[Found]:
    """Takes CPU time, and is called off the loop."""
    found = [_found(item, pictures[item.path], texts.get(item.path), kind, label_names) for item in items]
    return [
        replace(one, warnings=(*((one.item.path, message) for message in one.image.warnings), *one.warnings))
        for one in found
    ]


def _found(
    item: Item,
    image: Image,
    sidecar: tuple[str, Head | StorageError] | None,
    kind: str,
    label_names: LabelNameRule,
) -> Found:
    if sidecar is None or image.outcome not in (Outcome.READ, Outcome.NOT_NEEDED):
        return Found(item, image)
    path, head = sidecar
    match head:
        case RootMissing():
            raise head
        case ObjectMissing():
            return Found(item, image)
        case StorageError():
            return Found(item, image, warnings=((path, head.message),))
        case Head():
            said = _placed(format_of(kind).parse(head.data, label_names), item, image, kind)
            warnings = tuple((_at(path, problem.line), problem.message) for problem in said.told)
            refused = tuple(
                (name, _at(path, first.line), first.message, count)
                for name, (first, count) in said.refused_names.items()
            )
            return Found(item, image, said, item.sidecar_etag, warnings, refused)


def _placed(sidecar: Sidecar, item: Item, image: Image, kind: str) -> Sidecar:
    """What it says of this image, which may be one of several of its stem."""
    read = image.facts or item
    return sidecar.on(kind=kind, raster=Raster(read.width or 0, read.height or 0, read.orientation or 1))


def _at(path: str, line: int) -> str:
    return f"{path}:{line}" if line else path
