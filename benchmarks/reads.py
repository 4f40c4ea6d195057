"""Pages, the dashboard and one sample, in GraphQL and in hand-written SQL; and questions compared with their parts, and
facets with counting."""

from functools import partial
from itertools import cycle
from typing import Any, Final

from benchmarks import facets, servers
from benchmarks.facets import COUNT
from benchmarks.questions import DATASET, QUESTIONS
from benchmarks.runner import Bench, Measure, Row, Side, expect_equal

CONNECTIONS: Final = (1, 16)
GOALS: Final = {"the dashboard, 16 connections": 0.8, "one sample, 16 connections": 0.8}
PAGE: Final = """query Page($dataset: String!, $filter: SampleFilter) {
    dataset(by: {name: $dataset}) { samples(first: 100, filter: $filter) { nodes { id path } } } }"""
LABEL: Final = {"labels": {"names": ["label_50"]}}
FILE_NAME: Final = {"fileName": {"contains": "image_77"}}


async def run(bench: Bench) -> None:
    url = await servers.bench_database(bench.postgres, bench.rows)
    async with (
        servers.by_hand(url, bench.data) as hand,
        servers.labelgraph(url, bench.data, "--no-worker") as ours,
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
