"""GraphiQL: whole, offline, and harmless."""

import re

import orjson
import pytest

from api import playground
from schema import build_schema
from schema.execution.documents import Documents
from tests.client import Client

BROWSER = {"accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


async def test_shows_the_page_to_a_browser_without_a_token(stranger: Client) -> None:
    response = await stranger.request("GET", headers=BROWSER)
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in response.headers["content-security-policy"]
    assert response.headers["x-content-type-options"] == "nosniff"


async def test_everything_the_page_needs_comes_from_us(stranger: Client) -> None:
    text = (await stranger.request("GET", headers=BROWSER)).text
    names = re.findall(r'(?:src|href)="(?!data:|ui/)([^"]+)"', text)
    assert len(names) == 8
    for name in [*names, "playground/examples.json"]:
        response = await stranger.request("GET", f"/{name}")
        assert (response.status_code, response.headers["x-content-type-options"]) == (200, "nosniff")
        again = await stranger.request("GET", f"/{name}", headers={"if-none-match": response.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


async def test_what_a_phone_loads_is_compressed(stranger: Client) -> None:
    for name in (name for name, asset in playground.assets().items() if len(asset.body) > 100_000):
        whole = await stranger.request("GET", f"/playground/{name}", headers={"accept-encoding": "identity"})
        packed = await stranger.request("GET", f"/playground/{name}", headers={"accept-encoding": "gzip"})
        assert packed.headers["content-encoding"] == "gzip"
        assert int(packed.headers["content-length"]) < int(whole.headers["content-length"])
        assert packed.content == whole.content == playground.assets()[name].body


@pytest.mark.parametrize("name", ["__init__.py", "..%2f__init__.py", "examples", "LICENSE.react", "%00"])
async def test_sends_nothing_else_of_its_folder(stranger: Client, name: str) -> None:
    assert (await stranger.request("GET", f"/playground/{name}")).status_code == 404


async def test_a_query_in_the_address_of_a_browser_is_answered_not_shown(client: Client) -> None:
    response = await client.request("GET", params={"query": "{ hello }"}, headers=BROWSER)
    assert response.json() == {"data": {"hello": "hello world"}}


def test_carries_its_licences_and_stays_small() -> None:
    vendor = playground.HERE / "vendor"
    assert sum(path.stat().st_size for path in vendor.iterdir()) < 5_000_000
    assert {path.name for path in vendor.glob("LICENSE.*")} == {
        "LICENSE.graphiql",
        "LICENSE.graphiql-explorer",
        "LICENSE.react",
    }
    for path in vendor.glob("*.min.*"):
        assert "sourceMappingURL" not in path.read_text()[-300:]


@pytest.fixture(scope="module")
def documents() -> Documents:
    return build_schema().documents


@pytest.mark.parametrize("text", list(playground.examples()))
def test_an_example_begins_with_a_comment_and_its_operations_are_valid(documents: Documents, text: str) -> None:
    assert text.startswith("# ")
    for operation in re.findall(r"^(?:query|mutation|subscription) (\w+)", text, re.MULTILINE):
        document = documents.prepare(text, operation)
        assert document.cost({}) < document.limits.cost


def test_the_variables_below_an_example_are_those_that_it_needs() -> None:
    tabs = orjson.loads(playground.assets()["examples.json"].body)
    for tab in tabs:
        needed = set(re.findall(r"\$(\w+): \w+![,)]", tab["query"]))
        assert set(orjson.loads(tab["variables"] or "{}")) == needed, tab["query"]
