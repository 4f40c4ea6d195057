"""Models that suggest, and people who decide, through the schema."""

from typing import Any

from tests.schema.mutation_fixture import DatasetClient

SUGGESTED = """changedCount matchedCount suggestedCount keptCount rejectedBeforeCount notFoundIds notFoundPaths
    change { id kind actor summary } samples { id state labels { name } } dataset { revision }"""
DECIDED = """suggestionCount sampleCount notFoundIds notFoundPaths change { id kind summary isUndoableByViewer }
    samples { id state labels { name } labeledBy }"""
COUNTS = "suggestedCount pendingCount acceptedCount rejectedCount correctedCount precision"
FIRST = {"name": "resnet", "modelVersion": "1"}
SECOND = {"name": "resnet", "modelVersion": "2"}
OTHER = {"name": "clip", "modelVersion": "1"}


def of_sample(client: DatasetClient, position: int, **labels: float) -> dict[str, Any]:
    """What a model suggests of a sample: confidences by label."""
    annotations = [{"label": name, "confidence": confidence} for name, confidence in labels.items()]
    return {"sampleId": client.ids(position)[0], "annotations": annotations}


async def suggest(
    client: DatasetClient,
    *samples: dict[str, Any],
    model: dict[str, str] | None = None,
    key: str | None = None,
    **more: Any,
) -> Any:
    values = {"datasetId": client.dataset, "model": model or FIRST, "samples": list(samples), **more}
    return await client.mutate("suggestAnnotations", SUGGESTED, key, **values)


async def decide(client: DatasetClient, decision: str, *positions: int, key: str | None = None, **more: Any) -> Any:
    select = {"ids": client.ids(*positions)} if positions else {"all": True}
    values = {"datasetId": client.dataset, "select": select, "decision": decision, **more}
    return await client.mutate("decideSuggestions", DECIDED, key, **values)


async def undo(client: DatasetClient, change: str) -> Any:
    return await client.mutate("undoChange", "change { id }", changeId=change)


async def records(client: DatasetClient) -> dict[str, tuple[int, ...]]:
    """By model: how many suggestions wait, were accepted, rejected and corrected."""
    query = f"query ($d: ID!) {{ dataset(by: {{id: $d}}) {{ models {{ nodes {{ name modelVersion {COUNTS} }} }} }} }}"
    nodes = (await client.direct.execute(query, {"d": client.dataset}))["dataset"]["models"]["nodes"]
    names = ("pendingCount", "acceptedCount", "rejectedCount", "correctedCount")
    return {f"{node['name']} {node['modelVersion']}": tuple(node[name] for name in names) for node in nodes}


async def annotations(client: DatasetClient, position: int) -> list[tuple[Any, ...]]:
    """Label, whether it is confirmed, confidence and model."""
    query = """query ($id: ID!) { node(id: $id) { ... on Sample { annotations {
        label { name } isConfirmed confidence model { name modelVersion } } } } }"""
    data = await client.direct.execute(query, {"id": client.ids(position)[0]})
    return [
        (
            each["label"]["name"],
            each["isConfirmed"],
            each["confidence"],
            each["model"] and f"{each['model']['name']} {each['model']['modelVersion']}",
        )
        for each in data["node"]["annotations"]
    ]


async def annotation_ids(client: DatasetClient, position: int) -> list[str]:
    query = "query ($id: ID!) { node(id: $id) { ... on Sample { annotations { id } } } }"
    data = await client.direct.execute(query, {"id": client.ids(position)[0]})
    return [each["id"] for each in data["node"]["annotations"]]
