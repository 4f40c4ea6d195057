"""The page at /ui/: whole, and under a policy that lets nothing in. `tests/browser/` uses it."""

import re

import pytest

from api import web
from api.settings import S3, Settings
from tests.client import Client


@pytest.fixture
def stranger(client: Client) -> Client:
    return Client(client.url)


async def test_leads_from_the_root_to_the_page(stranger: Client) -> None:
    for path, location in (("/", "ui/"), ("/ui", "ui/")):
        response = await stranger.request("GET", path)
        assert (response.status_code, response.headers["location"]) == (307, location)


async def test_is_sent_to_anybody_under_a_strict_policy(stranger: Client) -> None:
    response = await stranger.request("GET", "/ui/")
    assert response.status_code == 200
    policy = response.headers["content-security-policy"]
    assert (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self';" in policy
    )
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert response.headers["cross-origin-opener-policy"] == "same-origin"
    assert "access-control-allow-origin" not in response.headers
    again = await stranger.request("GET", "/ui/", headers={"if-none-match": response.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


async def test_everything_it_loads_comes_from_us_and_stays_in_caches(stranger: Client) -> None:
    text = (await stranger.request("GET", "/ui/")).text
    names = re.findall(r'<(?:script|link) [^>]*(?:src|href)="\./([^"]+)"', text)
    assert len(names) == len(re.findall(r"<(?:script|link|style|img)\b", text)) >= 3  # a script, a style and an icon
    for name in names:
        response = await stranger.request("GET", f"/ui/{name}")
        assert (response.status_code, response.headers["x-content-type-options"]) == (200, "nosniff")
        assert "immutable" in response.headers["cache-control"]


@pytest.mark.parametrize("name", ["index.html", "..%2findex.html", "..%2f..%2f__init__.py", "%00"])
async def test_sends_nothing_else_of_its_folder(stranger: Client, name: str) -> None:
    assert (await stranger.request("GET", f"/ui/assets/{name}")).status_code == 404


async def test_its_first_scripts_are_small(stranger: Client) -> None:
    text = (await stranger.request("GET", "/ui/")).text
    size = 0
    for script in re.findall(r'(?:src|href)="\./([^"]+\.js)"', text):
        response = await stranger.request("GET", f"/ui/{script}", headers={"accept-encoding": "gzip"})
        assert response.headers["content-encoding"] == "gzip"
        size += int(response.headers["content-length"])
    assert 0 < size <= 200_000


def test_its_policy_names_the_storage_that_has_the_images() -> None:
    settings = Settings(public_url="https://labels.example/at", s3=S3(endpoint="http://minio:9000"))
    policy = web._policy(settings)
    storage = "https://labels.example http://minio:9000 http://*.minio:9000"
    assert f"img-src 'self' blob: {storage};" in policy
    assert f"connect-src 'self' {storage};" in policy
    amazon = web._policy(Settings(s3=S3(access_key="AKIA", secret_key="s")))
    assert "connect-src 'self' https://*.amazonaws.com https://*.amazonaws.com.cn;" in amazon
    through = web._policy(Settings(s3=S3(endpoint="http://minio:9000", links=False)))
    assert "connect-src 'self';" in through
