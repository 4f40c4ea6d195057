"""Pages, the dashboard and one sample, in GraphQL and in hand-written SQL, and without metrics and traces; questions
compared with their parts, or with others; and facets with counting."""

from functools import partial
from itertools import cycle
from typing import Any, Final

from benchmarks import facets, servers
from benchmarks.facets import COUNT
from benchmarks.questions import DATASET, QUESTIONS
from benchmarks.runner import Bench, Measure, Row, Side, expect_equal

CONNECTIONS: Final = (1, 16)
GOALS: Final = {"the dashboard, 16 connections": 0.8, "one sample, 16 connections": 0.8}
# What a production server has on (`docs/deployment.md`): metrics of everything, and traces of every hundredth request.
OBSERVED: Final = {"LABELGRAPH_METRICS_PORT": "0", "LABELGRAPH_TRACE_SHARE": "0.01"}
SMALL: Final = ("the dashboard", "one sample")
PAGE: Final = """query Page($dataset: String!, $filter: SampleFilter) {
    dataset(by: {name: $dataset}) { samples(first: 100, filter: $filter) { nodes { id path } } } }"""
ORDERED: Final = """query Ordered($dataset: String!, $filter: SampleFilter, $order: SampleOrderInput) {
    dataset(by: {name: $dataset}) { samples(first: 100, filter: $filter, orderBy: $order) { nodes { id path } } } }"""
NET: Final = {"name": "net", "modelVersion": "1"}
RARE: Final = {"name": "net", "modelVersion": "3"}
LABEL: Final = {"labels": {"names": ["label_50"]}}
FILE_NAME: Final = {"fileName": {"contains": "image_77"}}


async def run(bench: Bench) -> None:
    url = await servers.bench_database(bench.postgres, bench.rows)
    (bench.data / "observed").mkdir(exist_ok=True)
    async with (
        servers.by_hand(url, bench.data) as hand,
        servers.labelgraph(url, bench.data, "--no-worker") as ours,
        servers.labelgraph(url, bench.data / "observed", "--no-worker", **OBSERVED) as observed,
    ):

        def ask(query: str, filter_: dict[str, Any] | None) -> Side:
            request = ours.graphql(query, {"dataset": DATASET, "filter": filter_})
            return partial(ours.measure, cycle([request]), seconds=bench.seconds)

        async def slower_part() -> Measure:
            return min([await ask(PAGE, LABEL)(), await ask(PAGE, FILE_NAME)()], key=lambda part: part.speed)

        rows = []
        for number, question in enumerate(QUESTIONS):
            variables = question.variables(bench.rows)
            requests = [ours.graphql(question.graphql, each) for each in variables]
            by_hand = [hand.post(f"/read/{number}", each) for each in variables]
            for one, other in zip(requests[:5], by_hand[:5], strict=True):
                expect_equal(question.name, await ours.ask(one), await hand.ask(other))
            for connections in CONNECTIONS:
                how: dict[str, Any] = {"connections": connections, "seconds": bench.seconds}
                sides = partial(ours.measure, cycle(requests), **how), partial(hand.measure, cycle(by_hand), **how)
                name = f"{question.name}, {connections} connection{'s' if connections > 1 else ''}"
                rows.append(Row(name, "1/s", *sides, goal=GOALS.get(name), warm_up=True))
                if question.name in SMALL and connections > 1:
                    seen = [observed.graphql(question.graphql, each) for each in variables]
                    sides = partial(observed.measure, cycle(seen), **how), partial(ours.measure, cycle(requests), **how)
                    rows.append(Row(f"{name}, metrics and traces", "1/s", *sides, "without", 0.95, warm_up=True))
        counted, plain = ask(COUNT, {"labels": {"names": ["label_1"]}}), ask(COUNT, None)
        either = ask(PAGE, {"or": [LABEL, FILE_NAME]})
        rows += [
            Row("totalCount of one label", "ms", counted, plain, "the plain totalCount", 1 / 2, warm_up=True),
            Row("label OR file name", "ms", either, slower_part, "the slower part", 1 / 3, warm_up=True),
        ]
        for row in rows:
            if bench.wants(row.name):
                await bench.run(row)
        await facets.run(bench, url, ours, hand)
    if any(bench.wants(name) for name in SUGGESTED):
        await suggestions(bench)


# By what models suggest: the filter, and the field to order by.
SUGGESTED: Final[dict[str, tuple[dict[str, Any], str]]] = {
    "a page by uncertainty": ({"suggestions": {}}, "SUGGESTION_MARGIN"),
    "a page by uncertainty, of all samples": ({}, "SUGGESTION_ENTROPY"),
    "a page by model and confidence": ({"suggestions": {"models": [NET], "confidence": {"min": 0.6}}}, "CREATED_AT"),
    "a page by a rare model": ({"suggestions": {"models": [RARE], "confidence": {"min": 0.1}}}, "CREATED_AT"),
    "a page by confidence": ({"suggestions": {}}, "SUGGESTION_CONFIDENCE"),
    "a page by disagreement of models": ({"suggestions": {}}, "SUGGESTION_DISAGREEMENT"),
    "a page by a suggested label": ({"suggestions": {"labels": ["label_5"]}}, "CREATED_AT"),
    "a page by low confidence": ({"suggestions": {"confidence": {"max": 0.3}}}, "SUGGESTION_ENTROPY"),
    "a page of disagreements with labels": (
        {"suggestions": {"disagreesWithLabels": True, "confidence": {"min": 0.9}}},
        "SUGGESTION_CONFIDENCE",
    ),
}


async def suggestions(bench: Bench) -> None:
    """Compared with pages by a label as common as the suggestions."""
    url = await servers.suggested_database(bench.postgres, bench.rows)
    async with servers.labelgraph(url, bench.data, "--no-worker") as ours:

        def ask(filter_: dict[str, Any], field: str) -> Side:
            order = {"field": field, "direction": "DESC"}
            request = ours.graphql(ORDERED, {"dataset": DATASET, "filter": filter_, "order": order})
            return partial(ours.measure, cycle([request]), seconds=bench.seconds)

        label = ask({"labels": {"names": ["label_5"]}}, "CREATED_AT")
        for name, question in SUGGESTED.items():
            if bench.wants(name):
                await bench.run(Row(name, "ms", ask(*question), label, "a label's page", 1 / 1.5, warm_up=True))
