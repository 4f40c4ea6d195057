"""Parquet as Hugging Face has it: a column `image` with the bytes and the path of images, and the other columns as the
keys of JSON Lines. Numbers of labels become names, where the file's schema has them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, BinaryIO, Final

from db.errors import Invalid
from db.formats.datasets.readers import json_lines, values
from db.formats.datasets.reading import Contained, Files, ImageRecord, Problem, ReadOptions, opened
from db.formats.paths import stem
from db.formats.unpacking import MAX_RATIO

ROWS: Final = 16  # in memory at once, at most
BYTES: Final = 32 * 1024 * 1024  # of rows in memory, about
BUFFER: Final = 1024 * 1024  # bytes of a column that are read at once
MAX_GROUP: Final = 1024 * 1024 * 1024  # bytes of a row group
MAX_VALUES: Final = 2**25  # of a column in a row group: a repeated one takes no bytes
MAX_BATCH: Final = 512 * 1024 * 1024  # bytes that become Python's objects at once
OBJECT: Final = 64  # bytes of such an object, about
PLAIN: Final = frozenset({"PLAIN", "RLE", "BIT_PACKED"})  # encodings in which each value is written
MAGIC: Final = ((b"\xff\xd8", ".jpg"), (b"\x89PNG", ".png"), (b"BM", ".bmp"), (b"GIF8", ".gif"), (b"RIFF", ".webp"))
Names = Mapping[str, Any]  # by column: the names of a label's numbers, or those of the columns below


def read(files: Files, options: ReadOptions) -> Iterator[ImageRecord | Problem]:
    names = [name for name in files.names() if name.lower().endswith(".parquet")]
    if not names:
        raise Invalid("There is no file of Parquet.")
    for name in names:
        with opened(files, name) as file:
            yield from _read(file, name, options)


@dataclass(slots=True)
class ParquetImages:
    """The images of a file. Rows that are asked for in their order are decoded once."""

    file: BinaryIO
    group: int = -1
    start: int = 0  # of `rows` in the group
    rows: Sequence[Mapping[str, Any]] = ()
    parquet: Any = None
    batches: Iterator[Any] = field(default_factory=lambda: iter(()))

    def read(self, group: int, row: int) -> bytes:
        """Raises Invalid."""
        with _refusing("The file"):
            self._seek(group, row)
            content = _image(self.rows[row - self.start]).get("bytes")
        if not isinstance(content, bytes):
            raise Invalid("The row has no image.")
        return content

    def _seek(self, group: int, row: int) -> None:
        import pyarrow

        if self.parquet is None:
            self.parquet = _open(self.file)
        if group != self.group or row < self.start:
            is_struct = pyarrow.types.is_struct
            columns = [each.name for each in self.parquet.schema_arrow if is_struct(each.type)]
            rows = _rows(self.parquet.metadata.row_group(group))
            self.batches = self.parquet.iter_batches(batch_size=rows, row_groups=[group], columns=columns)
            self.group, self.start, self.rows = group, 0, ()
        while row >= self.start + len(self.rows):
            self.start += len(self.rows)
            batch = next(self.batches, None)
            if batch is None:
                raise Invalid("There is no such row.")
            self.rows = _objects(batch)


@contextmanager
def _refusing(name: str) -> Iterator[None]:
    import pyarrow

    try:
        yield
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as broken:
        raise Invalid(f"{name} is not a file of Parquet that can be read.") from broken


def _read(file: BinaryIO, name: str, options: ReadOptions) -> Iterator[ImageRecord | Problem]:
    with _refusing(name):
        parquet = _open(file)
        schema, metadata = parquet.schema_arrow, parquet.metadata
        for group in range(metadata.num_row_groups):
            _expect_bounded(metadata.row_group(group))
        label_names = _names(schema.metadata or {})
        number = 0
        for group in range(metadata.num_row_groups):
            first = number
            for batch in parquet.iter_batches(batch_size=_rows(metadata.row_group(group)), row_groups=[group]):
                for row in _objects(batch):
                    place = Contained(name, (group, number - first))
                    try:
                        yield _record(_named(row, label_names), place, number, options)
                    except Invalid as refused:
                        yield Problem(f"{name}#{number}", refused.message)
                    number += 1
        if number != metadata.num_rows:
            raise Invalid(f"{name} is damaged: it has {number:,} rows, and says {metadata.num_rows:,}.")


def _open(file: BinaryIO) -> Any:
    """Texts in lists stay numbers of a dictionary until they become objects: a list may repeat one without end."""
    import pyarrow.parquet

    parquet = pyarrow.parquet.ParquetFile(file, buffer_size=BUFFER)
    columns = [parquet.schema.column(n) for n in range(parquet.metadata.num_columns)]
    texts = [each.path for each in columns if each.max_repetition_level and each.physical_type == "BYTE_ARRAY"]
    if not texts:
        return parquet
    return pyarrow.parquet.ParquetFile(file, metadata=parquet.metadata, buffer_size=BUFFER, read_dictionary=texts)


def _expect_bounded(group: Any) -> None:
    """Raises Invalid for a group that takes much more memory than space in the file."""
    columns = [group.column(n) for n in range(group.num_columns)]
    packed, size = sum(each.total_compressed_size for each in columns), sum(map(_size, columns))
    if size > MAX_GROUP:
        raise Invalid(f"A row group has more than {MAX_GROUP // 1024**3} GiB.")
    if size > max(BYTES, packed * MAX_RATIO):
        raise Invalid(f"A row group unpacks to more than {MAX_RATIO} times its size.")
    for each in columns:
        if each.num_values > MAX_VALUES:
            raise Invalid(f"`{values.shown(each.path_in_schema)}` has more than {MAX_VALUES:,} values in a row group.")
        if "DELTA_BYTE_ARRAY" in each.encodings and each.num_values > group.num_rows:
            raise Invalid(
                f"`{values.shown(each.path_in_schema)}` has lists in the encoding DELTA_BYTE_ARRAY, which is not read."
            )


def _size(column: Any) -> int:
    return max(0, int(column.total_uncompressed_size))


def _rows(group: Any) -> int:
    """How many of a group to have in memory, by what it says of itself. Where values may be repeated without taking
    space, a row may have all that a column has."""
    columns = [group.column(n) for n in range(group.num_columns)]
    row = sum(map(_size, columns)) // max(int(group.num_rows), 1)
    repeated = sum(_size(each) for each in columns if not PLAIN.issuperset(each.encodings))
    return max(1, min(ROWS, BYTES // max(row, repeated, 1)))


def _objects(batch: Any) -> list[dict[str, Any]]:
    if sum(map(_weight, batch.columns)) > MAX_BATCH:
        raise Invalid(f"A few rows unpack to more than {MAX_BATCH // 1024**2} MiB.")
    rows: list[dict[str, Any]] = batch.to_pylist()
    return rows


def _weight(array: Any) -> int:
    """Bytes that its values take as objects, about."""
    import pyarrow
    import pyarrow.compute

    kind = array.type
    if pyarrow.types.is_dictionary(kind):
        longest = pyarrow.compute.max(pyarrow.compute.binary_length(array.dictionary)).as_py() or 0
        return len(array) * (OBJECT + int(longest))
    if pyarrow.types.is_struct(kind):
        return len(array) * OBJECT + sum(map(_weight, array.flatten()))
    if pyarrow.types.is_map(kind):
        return len(array) * OBJECT + _weight(array.keys) + _weight(array.items)
    if pyarrow.types.is_nested(kind):  # lists of several kinds
        return len(array) * OBJECT + _weight(array.flatten())
    return len(array) * OBJECT + int(array.nbytes)


def _image(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """The first value that is an image."""
    return next((value for value in row.values() if isinstance(value, dict) and "bytes" in value), {})


def _record(row: dict[str, Any], place: Contained, number: int, options: ReadOptions) -> ImageRecord:
    name = place.file
    location = f"{name}#{number}"
    key = next((key for key, value in row.items() if isinstance(value, dict) and "bytes" in value), "image")
    image = row.get(key)
    content = image.get("bytes") if isinstance(image, dict) else None
    problems = list[Problem]()
    if isinstance(content, bytes):
        path = image.get("path") if isinstance(image, dict) else None
        made = f"{stem(name)}-{number:06d}{next((end for magic, end in MAGIC if content.startswith(magic)), '')}"
        row = {"path": path or made, **{other: value for other, value in row.items() if other != key}}
        if len(content) > options.max_image:
            problems.append(Problem(location, "The image is too large, and was not read."))
            content = None
    record = json_lines.record(row, name, location, options)
    has_suffix = record.has_suffix and values.text(record.path, "path").rpartition("/")[2].count(".") > 0
    return replace(
        record,
        problems=(*problems, *record.problems),
        has_suffix=has_suffix,
        content=content if isinstance(content, bytes) else None,
        contained=place if isinstance(content, bytes) else None,
        folder="",
        drawn="UPRIGHT",
    )


def _names(metadata: Mapping[bytes, bytes]) -> Names:
    try:
        found = json.loads(metadata[b"huggingface"])["info"]["features"]
    except (KeyError, TypeError, ValueError, RecursionError):
        return {}
    return _of_features(found) if isinstance(found, dict) else {}


def _of_features(features: Mapping[str, Any]) -> Names:
    return {key: found for key, feature in features.items() if (found := _of_feature(feature)) is not None}


def _of_feature(feature: Any) -> Any:
    """The names of a label, or of a list of labels; of a struct those of its columns."""
    if isinstance(feature, list) and feature:  # an old way to write a list
        return _of_feature(feature[0])
    if not isinstance(feature, dict):
        return None
    if feature.get("_type") == "ClassLabel":
        names = feature.get("names")
        return names if isinstance(names, list) else None
    if "_type" in feature:
        return _of_feature(feature.get("feature"))
    return _of_features(feature) or None


def _named(value: Any, names: Any) -> Any:
    """The value with the names of labels instead of their numbers."""
    if isinstance(value, list):
        return [_named(each, names) for each in value]
    if isinstance(value, dict):
        of = names if isinstance(names, dict) else {}
        return {key: _named(each, of.get(key)) for key, each in value.items()}
    if isinstance(value, int) and isinstance(names, list) and 0 <= value < len(names):
        return names[value]
    return value
