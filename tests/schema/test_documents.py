"""Hostile documents are refused cheaply, honest ones never; in the time that it takes to prepare an honest one."""

from contextlib import suppress
from typing import Any

import pytest
from graphql import build_schema, get_introspection_query
from hypothesis import given, settings
from hypothesis import strategies as st

from schema.errors import Refused
from schema.execution.document_limits import DocumentLimits
from schema.execution.documents import Documents
from tests.waiting import cost_ratio

SCHEMA = build_schema(
    """
    type Query { a: Q  samples(first: Int, last: Int, after: String): Connection!  nodes(ids: [ID!]!): [Q]! }
    type Mutation { change(text: String): Q }
    type Q { a: Q  b: Int  list: [Q]  samples(first: Int): Connection! }
    type Connection { nodes: [Q!]!  edges: [Edge!]!  totalCount: Int! }
    type Edge { node: Q!  cursor: String! }
    """
)
CHEAP = 50  # times an honest document; the worst of these takes about 7, and 3,000 where fragments are walked again


def chain(count: int, body: str, end: str = "b") -> str:
    """Fragments, each of which spreads the next as `body` says."""
    links = (f"fragment F{n} on Q {{ {body.replace('NEXT', f'...F{n + 1}')} }}" for n in range(count))
    return f"{{ a {{ ...F0 }} }} {' '.join(links)} fragment F{count} on Q {{ {end} }}"


def repeated(text: str, count: int) -> str:
    return " ".join(text.replace("#", str(n)) for n in range(count))


BOMBS = {
    "fragments that spread twice": chain(21, "a { NEXT } x: a { NEXT }"),
    "fragments that spread twice on one level": chain(21, "NEXT NEXT"),
    "fragments that fan out tenfold": chain(8, repeated("NEXT", 10)),
    "a long chain of fragments": chain(99, "a { NEXT }"),
    "a field again and again": f"{{ {repeated('a { b }', 700)} }}",
    "an alias again and again": f"{{ {repeated('x#: a { b }', 400)} }}",
    "many aliases on one level": f"{{ a {{ {repeated('x#: b', 250)} }} }}",
    "aliases in a fragment": f"{{ {repeated('x#: a { ...F }', 20)} }} fragment F on Q {{ {repeated('y#: b', 20)} }}",
    "inline fragments": "{ a { " + repeated("... on Q { b }", 200) + " } }",
    "nested inline fragments": "{ a { " + repeated("... on Q { a { b } x: a { b a { b } } }", 70) + " } }",
    "overlapping fragments": "{ a { "
    + repeated("...F#", 60)
    + " } } "
    + repeated("fragment F# on Q { a { b a { b a { b } } } b }", 60),
    "depth": "{ " + "a { " * 150 + "b" + " }" * 150 + " }",
    "depth beyond the parser": "{ " + "a { " * 5_000 + "b" + " }" * 5_000 + " }",
    "depth in a list": "{ nodes(ids: " + "[" * 5_000 + "]" * 5_000 + ") { b } }",
    "directives": "{ a" + " @skip(if: false)" * 300 + " { b } }",
    "tokens": "{ " + "a " * 60_000 + "}",
    "comments": "#\n" * 20_000 + "{ a { b } }",
    "a long name": "{ " + "a" * 60_000 + " }",
    "length": "{ a { b } } " + " " * 70_000,
    "operations": repeated("query Q# { a { b } }", 200),
    "variables": "query (" + repeated("$v#: Int", 700) + ") { a { b } }",
    "introspection": "{ __schema { types { " + "fields { type { " * 8 + "name" + " } }" * 8 + " } } }",
    "wide introspection": "{ __schema { " + repeated("x#: types { fields { name } }", 300) + " } }",
    "errors": "{ " + repeated("nothing#", 900) + " }",
    "a fragment that spreads itself": chain(3, "a { NEXT b }", end="a { ...F0 }"),
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
def test_refuses_a_bomb_cheaply(bomb: str) -> None:
    def refuse() -> None:
        with pytest.raises(Refused) as refused:
            Documents(SCHEMA).prepare(bomb)
        assert all((error.extensions or {}).get("code") for error in refused.value.errors)

    assert cost_ratio(refuse, prepare_an_honest_one) < CHEAP


def prepare_an_honest_one() -> None:
    """What every tool asks first."""
    Documents(SCHEMA).prepare(get_introspection_query())


NODES = "samples(first: 100) { nodes { b } }"
HONEST = {
    "introspection": get_introspection_query(),
    "introspection with everything": get_introspection_query(
        specified_by_url=True, directive_is_repeatable=True, schema_description=True, input_value_deprecation=True
    ),
    "a page with what hangs on it": (
        "{ samples(first: 100) { totalCount edges { cursor node { b list { b a { b } } a { a { b } } } } } }"
    ),
    "a page of pages": "{ samples(first: 100) { nodes { b samples(first: 100) { totalCount nodes { b a { b } } } } } }",
    "a dashboard": "{ " + repeated("x#: a { " + NODES + " }", 20) + " }",
    "an application's fragments": (
        "{ a { ...F0 ...F1 ...F2 ...F3 ...F4 a { ...F0 ...F1 ...F2 } list { ...F3 ...F4 } } } "
        + repeated("fragment F# on Q { b a { b } list { b a { b } } }", 5)
    ),
}


@pytest.mark.parametrize("document", HONEST.values(), ids=HONEST)
def test_admits_what_honest_pages_ask(document: str) -> None:
    Documents(SCHEMA).prepare(document).cost({})


@pytest.mark.parametrize(
    ("document", "variables", "cost"),
    [
        ("{ a { b } }", {}, 2),
        ("{ samples(first: 5) { totalCount } }", {}, 1 + 5 * 1),
        ("{ samples(first: 5) { nodes { b } } }", {}, 1 + 5 * 2),
        ("{ samples { nodes { b } } }", {}, 1 + 20 * 2),
        ("{ samples(first: 0) { nodes { b } } }", {}, 1 + 2),
        ("{ samples(first: -9) { nodes { b } } }", {}, 1 + 2),
        ("{ samples(first: 999999999) { nodes { b } } }", {}, 1 + 100 * 2),
        ("{ samples(last: 7) { nodes { samples(first: 3) { nodes { b } } } } }", {}, 1 + 7 * (1 + 1 + 3 * 2)),
        ("query ($n: Int) { samples(first: $n) { nodes { b } } }", {"n": 4}, 1 + 4 * 2),
        ("query ($n: Int = 6) { samples(first: $n) { nodes { b } } }", {}, 1 + 6 * 2),
        ("query ($n: Int = 6) { samples(first: $n) { nodes { b } } }", {"n": None}, 1 + 20 * 2),
        ("query ($n: Int) { samples(first: $n) { nodes { b } } }", {"n": "many"}, 1 + 20 * 2),
        ("query ($ids: [ID!]!) { nodes(ids: $ids) { b } }", {"ids": ["a"] * 30}, 1 + 30),
        ('{ nodes(ids: ["a", "b"]) { b } }', {}, 1 + 2),
        ("{ a { ...F x: a { ...F } } } fragment F on Q { samples(first: 2) { nodes { b } } }", {}, 1 + 5 + 1 + 5),
    ],
)
def test_counts_the_values_that_an_answer_may_hold(document: str, variables: dict[str, Any], cost: int) -> None:
    assert Documents(SCHEMA).prepare(document).cost(variables) == cost


def test_refuses_pages_of_pages_of_pages_whatever_the_variables_were_before() -> None:
    inner = "b"
    for _ in range(3):
        inner = f"samples(first: $n) {{ nodes {{ {inner} }} }}"
    document = Documents(SCHEMA).prepare(f"query ($n: Int) {{ {inner} }}")
    assert document.cost({"n": 1}) < 10
    with pytest.raises(Refused) as refused:
        document.cost({"n": 100})
    assert (refused.value.errors[0].extensions or {})["code"] == "QUERY_TOO_COSTLY"
    assert document.cost({"n": 1}) < 10


def test_null_and_a_variable_that_is_not_given_cost_what_each_reads() -> None:
    document = Documents(SCHEMA).prepare("query ($n: Int = 6) { samples(first: $n) { nodes { b } } }")
    assert document.cost({}) == 1 + 6 * 2
    assert document.cost({"n": None}) == 1 + 20 * 2


def test_the_same_text_is_read_once() -> None:
    documents = Documents(SCHEMA)
    first = documents.prepare("query A { a { b } } query B { a { b } }", "A")
    assert documents.prepare("query A { a { b } } query B { a { b } }", "A") is first
    assert documents.prepare("query A { a { b } } query B { a { b } }", "B") is not first
    assert (first.name, first.is_query, first.is_mutation, first.is_subscription) == ("A", True, False, False)


def test_forgets_the_documents_that_were_used_least_recently() -> None:
    documents = Documents(SCHEMA, capacity=2)
    cached, lost = documents.prepare("query K { a { b } }"), documents.prepare("query L { a { b } }")
    documents.prepare("query K { a { b } }")
    documents.prepare("query M { a { b } }")
    assert documents.prepare("query K { a { b } }") is cached
    assert documents.prepare("query L { a { b } }") is not lost


def test_keeps_no_more_text_than_it_may() -> None:
    documents = Documents(SCHEMA, characters=100)
    for name in "ABCDEFGHIJ":
        documents.prepare(f"query {name} {{ a {{ b }} }}" + " " * 20)
    assert len(documents._cache) == 2


@pytest.mark.parametrize(
    "limit", ["depth", "aliases", "root_fields", "directives", "fragments", "spreads", "operations"]
)
def test_a_limit_is_reached_but_not_passed(limit: str) -> None:
    reach = {
        "depth": "{ a { a { b } } }",
        "aliases": "{ a { x: b y: b z: b } }",
        "root_fields": "{ a { b } x: a { b } y: a { b } }",
        "directives": "{ a @skip(if: false) { b @skip(if: false) @include(if: true) } }",
        "fragments": "{ a { ...A ...B ...C } } fragment A on Q { b } fragment B on Q { b } fragment C on Q { b }",
        "spreads": "{ a { ...A a { ...A a { ...A } } } } fragment A on Q { b }",
        "operations": "query A { a { b } } query B { a { b } } query C { a { b } }",
    }
    name = "A" if limit == "operations" else None
    Documents(SCHEMA, DocumentLimits(**{limit: 3})).prepare(reach[limit], name)
    with pytest.raises(Refused) as refused:
        Documents(SCHEMA, DocumentLimits(**{limit: 2})).prepare(reach[limit], name)
    assert (refused.value.errors[0].extensions or {})["details"] == {"limit": limit, "most": 2, "found": 3}


selections = st.recursive(
    st.just("b"),
    lambda inner: st.lists(
        st.one_of(
            inner.map(lambda each: f"a {{ {each} }}"),
            st.tuples(st.integers(0, 3), inner).map(lambda pair: f"x{pair[0]}: a {{ {pair[1]} }}"),
            inner.map(lambda each: f"... on Q {{ {each} }}"),
            st.integers(0, 4).map(lambda n: f"...F{n}"),
        ),
        min_size=1,
        max_size=6,
    ).map(" ".join),
    max_leaves=40,
)


@settings(max_examples=60, deadline=None)
@given(st.lists(selections, min_size=6, max_size=6))
def test_no_generated_document_takes_long(parts: list[str]) -> None:
    fragments = " ".join(f"fragment F{n} on Q {{ {part} }}" for n, part in enumerate(parts[1:]))

    def prepare() -> None:
        with suppress(Refused):
            Documents(SCHEMA).prepare(f"{{ a {{ {parts[0]} }} }} {fragments}").cost({})

    assert cost_ratio(prepare, prepare_an_honest_one, rounds=2) < CHEAP
