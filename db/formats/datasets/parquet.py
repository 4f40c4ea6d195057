"""Parquet with images: the only place for pyarrow, which is imported when the first file is begun or read.

`image` is a struct of the image's bytes and its path, as `datasets` has it, and labels are numbers, whose names are in
the file's schema.
"""

import json
from collections.abc import Mapping, Sequence, Set
from typing import Any, Final

from db.formats.datasets.format import Series
from db.formats.datasets.hugging_face import NAMES, UNSPLIT, WHO_AND_WHEN, HuggingFace, row
from db.formats.datasets.records import SPLITS, AnnotatedImage, DatasetFacts

ROWS: Final = 100  # of a row group, as the hub's viewer likes them
GROUP: Final = 16 * 1024 * 1024  # bytes of a row group


class Parquet(HuggingFace):
    says = HuggingFace.says | {"confidence"}
    shard_suffix = ".parquet"
    max_shard_images = 50_000

    def pattern(self, part: str) -> str:
        return f"{part}-*.parquet"

    def series(self) -> Sequence[Series]:
        usages = {name: usage for usage, name in SPLITS.items()}
        if not self.facts.is_split:
            return (Series(UNSPLIT),)
        return tuple(Series(NAMES[split], frozenset({usages[split]})) for split in self.facts.splits)

    def shard(self, series: Series) -> "ParquetFile":
        return ParquetFile(self.facts, self.says)

    def shard_name(self, series: Series, number: int) -> str:
        return f"{series.name}-{number:05d}"


class ParquetFile:
    """One file, written in row groups; what is complete is handed over, so that only a group is in memory."""

    def __init__(self, facts: DatasetFacts, says: Set[str]) -> None:
        import pyarrow
        import pyarrow.parquet

        self.arrow = pyarrow
        self.facts, self.says = facts, says
        self.sink = _Sink()
        self.schema = _schema(pyarrow, facts)
        self.writer = pyarrow.parquet.ParquetWriter(pyarrow.PythonFile(self.sink, mode="w"), self.schema)
        self.rows: list[dict[str, Any]] = []
        self.size = 0

    @property
    def pending(self) -> int:
        return self.size

    def add(self, image: AnnotatedImage, data: bytes | None) -> bytes:
        found = row(image, self.facts, self.says)
        numbers = self.facts.label_numbers
        found["label"] = None if found["label"] is None else numbers[found["label"]]
        found["labels"] = [numbers[label] for label in found["labels"]]
        if "objects" in found:
            found["objects"]["categories"] = [numbers[label] for label in found["objects"]["categories"]]
        link = {} if self.facts.images != "LINKS" else {"url": image.url}
        self.rows.append({"image": {"bytes": data, "path": image.file_path}} | found | link)
        self.size += len(data or b"")
        if len(self.rows) >= ROWS or self.size >= GROUP:
            self._flush()
        return self.sink.take()

    def finish(self) -> bytes:
        self._flush()
        self.writer.close()
        return self.sink.take()

    def _flush(self) -> None:
        if self.rows:
            self.writer.write_table(self.arrow.Table.from_pylist(self.rows, schema=self.schema))
        self.rows, self.size = [], 0


class _Sink:
    """A file of which what was written can be taken away."""

    closed = False

    def __init__(self) -> None:
        self.data = bytearray()
        self.position = 0

    def write(self, data: Any) -> int:
        piece = bytes(data)
        self.data += piece
        self.position += len(piece)
        return len(piece)

    def take(self) -> bytes:
        data, self.data = bytes(self.data), bytearray()
        return data

    def tell(self) -> int:
        return self.position

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass

    def writable(self) -> bool:
        return True

    def readable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return False


def _schema(arrow: Any, facts: DatasetFacts) -> Any:
    names = [label.name for label in facts.labels]
    text, label = {"dtype": "string", "_type": "Value"}, {"names": names, "_type": "ClassLabel"}
    side, number = {"dtype": "int32", "_type": "Value"}, {"dtype": "float64", "_type": "Value"}
    features: dict[str, Any] = {"image": {"_type": "Image"}, "width": side, "height": side, "label": label}
    features |= {"labels": _list(label)}
    columns = [
        ("image", arrow.struct([("bytes", arrow.binary()), ("path", arrow.string())])),
        *(("width", arrow.int32()), ("height", arrow.int32())),
        *(("label", arrow.int64()), ("labels", arrow.list_(arrow.int64()))),
    ]
    texts, reals = arrow.list_(arrow.string()), arrow.list_(arrow.float64())
    known = [*((name, texts) for name in WHO_AND_WHEN), ("confidence", reals)]
    of_known = {**{name: _list(text) for name in WHO_AND_WHEN}, "confidence": _list(number)}
    columns += known
    features |= of_known
    if not facts.is_split:
        columns.append(("usage", arrow.string()))
        features["usage"] = text
    if facts.type != "IMAGE_CLASSIFICATION":
        numbers = arrow.list_(reals)
        objects = [("bbox", numbers), ("categories", arrow.list_(arrow.int64())), ("segmentation", numbers), *known]
        columns.append(("objects", arrow.struct(objects)))
        features["objects"] = {
            "bbox": _list(_list(number)),
            "categories": _list(label),
            "segmentation": _list(_list(number)),
            **of_known,
        }
    if facts.images == "LINKS":
        columns.append(("url", arrow.string()))
        features["url"] = text
    return arrow.schema(columns, metadata={"huggingface": json.dumps({"info": {"features": features}})})


def _list(feature: Mapping[str, Any]) -> dict[str, Any]:
    return {"feature": feature, "_type": "Sequence"}
