"""Requests that cost a server far more than their sender: documents with their variables, for attacks and tests.

`dataset` is the name of a dataset; the nested lists need one with thousands of labels, the searches one with many
samples. Each request is a new one where its text is cached otherwise: `number` distinguishes them.
"""

from collections.abc import Callable, Mapping
from typing import Any

Operation = tuple[str, dict[str, Any]]

NESTED = "samples(first: 100) { nodes { dataset { INNER } } }"
FILTERED = """query Search%d($name: String!, $filter: SampleFilter) {
    dataset(by: {name: $name}) { samples(first: 100, filter: $filter) { totalCount nodes { id } } } }"""
ANNOTATE = "mutation ($input: AnnotateSamplesInput!) { annotateSamples(input: $input) { matchedCount } }"


def nested_lists(dataset: str, inner: str = "labels { id name }", depth: int = 2) -> Operation:
    """Pages of pages of a list without pages."""
    body = inner
    for _ in range(depth):
        body = NESTED.replace("INNER", body)
    return f"query ($name: String!) {{ dataset(by: {{name: $name}}) {{ {body} }} }}", {"name": dataset}


def aliased_lists(dataset: str, aliases: int = 60) -> Operation:
    body = " ".join(f"a{n}: labels {{ id name color shortcut }}" for n in range(aliases))
    return f"query ($name: String!) {{ dataset(by: {{name: $name}}) {{ {body} }} }}", {"name": dataset}


def long_needle(dataset: str, letters: int, number: int = 0) -> Operation:
    return FILTERED % number, {"name": dataset, "filter": {"path": {"contains": "é" * letters}}}


def many_searches(dataset: str, searches: int = 90, number: int = 0) -> Operation:
    either = [{"path": {"contains": f"no such path {n}"}} for n in range(searches)]
    return FILTERED % number, {"name": dataset, "filter": {"or": either}}


def many_parts(dataset: str, parts: int = 99, number: int = 0) -> Operation:
    either = [{"fileName": {"contains": f"a{n}", "eq": f"b{n}"}, "labels": {"names": ["x"]}} for n in range(parts)]
    return FILTERED % number, {"name": dataset, "filter": {"or": either}}


def many_annotations(samples: int = 45_000) -> Operation:
    return ANNOTATE, {"input": {"datasetId": "Dataset:1", "samples": [{"sampleId": "Sample:1"}] * samples}}


def many_ids(ids: int = 60_000) -> Operation:
    return "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }", {"ids": ["Sample:1"] * ids}


def many_filters(dataset: str, filters: int = 60_000) -> Operation:
    return FILTERED % 0, {"name": dataset, "filter": {"or": [{"isHard": True}] * filters}}


ATTACKS: Mapping[str, Callable[[str], Operation]] = {
    "lists in pages of pages": nested_lists,
    "one list again and again": aliased_lists,
    "a needle of 20,000 letters": lambda dataset: long_needle(dataset, 20_000),
    "a needle of 160,000 letters": lambda dataset: long_needle(dataset, 160_000),
    "90 searches": many_searches,
    "15 searches": lambda dataset: many_searches(dataset, 15),
    "a filter of 99 parts": many_parts,
    "45,000 annotated samples": lambda _: many_annotations(),
    "60,000 ids": lambda _: many_ids(),
    "60,000 filters": many_filters,
}
