"""Parquet takes little space for what is repeated: files that unpack to much more than they are."""

import io
import random

import pyarrow
import pyarrow.parquet
import pytest

from db.errors import Invalid
from db.formats.datasets.readers import READERS, parquet_files
from tests.db.dataset_files import read

SEED = random.Random(1)


def written(table: pyarrow.Table, **options: object) -> bytes:
    out = io.BytesIO()
    pyarrow.parquet.write_table(table, out, compression="zstd", **options)
    return out.getvalue()


def images(content: bytes, count: int) -> pyarrow.Table:
    """The same image again and again."""
    values = [pyarrow.array([content] * count), pyarrow.array([f"{number}.jpg" for number in range(count)])]
    return pyarrow.table({"image": pyarrow.StructArray.from_arrays(values, ["bytes", "path"])})


def refusal(data: bytes) -> str:
    with pytest.raises(Invalid) as refused:
        read(READERS["PARQUET"], {"a.parquet": data}, "IMAGE_CLASSIFICATION")
    return refused.value.message


def test_one_text_in_millions_of_entries_of_a_list_is_refused() -> None:
    count = 6_000_000
    texts = pyarrow.DictionaryArray.from_arrays(pyarrow.repeat(pyarrow.scalar(0, pyarrow.int32()), count), ["x" * 100])
    data = written(pyarrow.table({"path": ["a.png"], "labels": pyarrow.ListArray.from_arrays([0, count], texts)}))
    assert len(data) < 5_000
    assert refusal(data).startswith("a.parquet: A few rows unpack to more than 512 MiB")


def test_more_values_than_anybody_has_are_refused() -> None:
    flags = pyarrow.repeat(False, parquet_files.MAX_VALUES + 1)
    data = written(pyarrow.table({"path": ["a.png"], "flags": pyarrow.ListArray.from_arrays([0, len(flags)], flags)}))
    assert refusal(data).startswith("a.parquet: `flags.list.element` has more than 33,554,432 values")


def test_an_image_that_unpacks_to_many_times_its_size_is_refused() -> None:
    data = written(images(b"\xff\xd8" + b"\0" * 40_000_000, 2), dictionary_pagesize_limit=2**30)
    assert refusal(data).startswith("a.parquet: A row group unpacks to more than 250 times its size")


def test_of_an_image_that_is_repeated_without_taking_space_few_are_in_memory() -> None:
    content = b"\xff\xd8" + SEED.randbytes(4_000_000)
    data = written(images(content, 40), dictionary_pagesize_limit=2**30)
    assert len(data) < 5_000_000
    group = pyarrow.parquet.ParquetFile(io.BytesIO(data)).metadata.row_group(0)
    assert parquet_files._rows(group) * len(content) <= parquet_files.BYTES
    records, problems = read(READERS["PARQUET"], {"a.parquet": data}, "IMAGE_CLASSIFICATION")
    assert ([record.path for record in records], problems) == ([f"{number}.jpg" for number in range(40)], [])


def test_texts_in_lists_are_read_as_they_are_written() -> None:
    """In one page of a dictionary, in the pages after it became too large, and in no dictionary."""
    labels = [[f"label {SEED.randrange(400)}" for _ in range(number % 5)] for number in range(600)]
    table = pyarrow.table({"path": [f"{number}.png" for number in range(600)], "labels": labels})
    for options in ({}, {"dictionary_pagesize_limit": 500, "data_page_size": 500}, {"use_dictionary": False}):
        records, problems = read(READERS["PARQUET"], {"a.parquet": written(table, **options)}, "IMAGE_CLASSIFICATION")
        found = [[each.label for each in record.annotations or ()] for record in records]
        assert (found, problems) == ([list(dict.fromkeys(each)) for each in labels], []), options
