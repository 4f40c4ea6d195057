"""Who may do what: every endpoint, every scope."""

import httpx2
import pytest

from api.auth import CACHE_SECONDS
from api.graphql.negotiation import RESPONSE
from db.identity import tokens
from db.identity.tokens import Scope
from db.postgres.engine import Database
from tests.client import Client, token
from tests.waiting import wait_until

SCOPES = {"read": Scope.READ, "label": Scope.LABEL, "manage": Scope.MANAGE}


def code(response: httpx2.Response) -> str | None:
    answer = response.json()
    return answer["errors"][0]["extensions"]["code"] if "errors" in answer else None


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer nonsense",
        f"Bearer lg_{'a' * 43}",
        f"Basic lg_{'a' * 43}",
        "Bearer lg_\xe9",
    ],
)
@pytest.mark.parametrize("query", ["{ hello }", "{ __schema { types { name } } }", "{ __typename }"])
async def test_answers_nothing_without_a_valid_token(stranger: Client, header: str | None, query: str) -> None:
    headers = {} if header is None else {"authorization": header.encode("latin-1")}
    response = await stranger.post(query, headers=headers)
    assert (response.status_code, code(response)) == (401, "UNAUTHENTICATED")
    assert response.headers["www-authenticate"].startswith("Bearer")
    assert "data" not in response.json()


async def test_refuses_a_stranger_alike_whatever_the_answer_would_be(stranger: Client) -> None:
    for accept in ("application/json", RESPONSE, "text/event-stream"):
        response = await stranger.post("subscription { counter(to: 1) }", headers={"accept": accept})
        assert (response.status_code, code(response)) == (401, "UNAUTHENTICATED")


@pytest.mark.parametrize(
    ("scope", "query", "refused"),
    [
        ("read", "{ hello }", None),
        ("read", "mutation { __typename }", None),
        ("read", "mutation { labelSamples }", "FORBIDDEN"),
        ("read", "mutation { deleteDataset }", "FORBIDDEN"),
        ("label", "{ hello }", None),
        ("label", "mutation { labelSamples }", None),
        ("label", "mutation { deleteDataset }", "FORBIDDEN"),
        ("label", "mutation { innocent: deleteDataset }", "FORBIDDEN"),
        ("label", "mutation { ...F } fragment F on Mutation { ... on Mutation { deleteDataset } }", "FORBIDDEN"),
        ("manage", "mutation { labelSamples deleteDataset }", None),
    ],
)
async def test_a_scope_reaches_so_far_and_no_further(
    url: str, database: Database, scope: str, query: str, refused: str | None
) -> None:
    client = Client(url, await token(database, SCOPES[scope]))
    response = await client.post(query)
    assert (response.status_code, code(response)) == (200, refused)
    if refused is not None:
        [value] = response.json()["data"].values()
        assert value is None


async def test_of_two_mutations_the_one_that_is_permitted_is_carried_out(url: str, database: Database) -> None:
    client = Client(url, await token(database, Scope.LABEL))
    for query in ("mutation { labelSamples deleteDataset }", "mutation { deleteDataset labelSamples }"):
        answer = (await client.post(query)).json()
        assert answer["data"] == {"labelSamples": "labelled", "deleteDataset": None}
        assert [error["path"] for error in answer["errors"]] == [["deleteDataset"]]


async def test_a_refusal_names_the_field_and_both_scopes(url: str, database: Database) -> None:
    client = Client(url, await token(database, Scope.LABEL))
    error = (await client.post("mutation { gone: deleteDataset }")).json()["errors"][0]
    assert error["path"] == ["gone"]
    assert error["extensions"]["details"] == {"needed": "MANAGE", "held": "LABEL"}


async def test_a_revoked_token_is_refused_within_seconds(client: Client, database: Database) -> None:
    await client.execute("{ hello }")
    async with database.writing() as session:
        await tokens.revoke(session, "ann")

    async def is_refused() -> bool:
        return code(await client.post("{ hello }")) == "UNAUTHENTICATED"

    await wait_until(is_refused)
    assert CACHE_SECONDS < 5


async def test_the_name_of_the_token_is_who_asks(client: Client) -> None:
    assert await client.execute("{ who }") == {"who": "ann"}
