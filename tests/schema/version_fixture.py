"""Versions through the schema: publishing, labelling, and reading the results."""

from typing import Any

from tests.schema.mutation_fixture import DatasetClient

PUBLISH = (
    "version { id name description isCurrent createdBy parent { name } status manifestPath statistics { totalCount } }"
)
VERSION = """query ($v: ID!, $f: SampleFilter, $o: SampleOrderInput = {field: CREATED_AT}) {
    node(id: $v) { ... on Version { name labels { id name sampleCount }
    statistics { totalCount labeledCount unlabeledCount pendingCount }
    samples(first: 100, filter: $f, orderBy: $o) { totalCount nodes {
        id path state usage labels { name } isSourceAvailable revision
        annotations { label { name } labeledBy } } } } } }"""
DATASET = """query ($d: ID!) { dataset(by: {id: $d}) { revision hasUnpublishedChanges currentVersion { name }
    versions { totalCount nodes { name isCurrent parent { name } } } labels { id name sampleCount }
    statistics { totalCount labeledCount } } }"""
COMPARE = """query ($d: ID!, $b: ID!, $h: ID) { dataset(by: {id: $d}) { comparison(baseId: $b, headId: $h) {
    addedCount removedCount relabeledCount
    changes { totalCount nodes { kind addedLabelNames removedLabelNames sample { id } } } } } }"""


def in_version(id: str, version: str | None) -> str:
    """The id that a sample, a label or an annotation has in a version; None: in the working set."""
    return id if version is None else f"{id}@{number(version)}"


def answer_in_version(answer: Any, version: str) -> Any:
    """The answer with the ids that its samples, labels and annotations have in a version."""
    match answer:
        case {"id": str(id), **rest}:
            return {"id": in_version(id, version), **answer_in_version(rest, version)}
        case dict():
            return {name: answer_in_version(each, version) for name, each in answer.items()}
        case list():
            return [answer_in_version(each, version) for each in answer]
    return answer


def number(id: str) -> int:
    """The number in a global id, whatever version it names."""
    return int(id.partition(":")[2].partition("@")[0])


async def publish(client: DatasetClient, **input: Any) -> dict[str, Any]:
    payload = await client.mutate("publishVersion", PUBLISH, datasetId=client.dataset, **input)
    return payload["version"]  # type: ignore[no-any-return]


async def label(client: DatasetClient, names: list[str], *positions: int, mode: str = "ADD") -> str:
    """The id of the change; empty if nothing changed."""
    payload = await client.mutate(
        "labelSamples",
        "change { id }",
        datasetId=client.dataset,
        select={"ids": client.ids(*positions)},
        labels=names,
        mode=mode,
    )
    return str((payload["change"] or {"id": ""})["id"])


async def read(client: DatasetClient, version: dict[str, Any], **variables: Any) -> Any:
    return (await client.direct.execute(VERSION, {"v": version["id"], **variables}))["node"]


async def dataset(client: DatasetClient) -> Any:
    return (await client.direct.execute(DATASET, {"d": client.dataset}))["dataset"]
