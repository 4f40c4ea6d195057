"""Python and Postgres make the same signatures, and no other is valid."""

import pytest
from sqlalchemy import Text, literal
from sqlmodel import select

from db.identity.urls import STABLE, Signer, secret, signed_sql
from db.postgres.engine import Database

SIGNER = Signer(secret=b"a secret of some length", lifetime=3_600)
NOW = 1_800_000_123.0


@pytest.mark.portable
@pytest.mark.parametrize("source_id", [1, 42, 9_223_372_036_854_775_807])
async def test_postgres_and_python_sign_alike(database: Database, source_id: int) -> None:
    links = SIGNER.links("https://labels.example", 7, NOW)
    base, query, key = literal(links.base, Text()), literal(links.query, Text()), literal(links.key)
    paths = (f"/images/{source_id}.png", f"/thumbnails/{source_id}/256.jpg")
    urls = [signed_sql(literal(path, Text()), base=base, query=query, key=key) for path in paths]
    async with database.writing() as session:
        row = (await session.exec(select(*urls))).one()
    assert tuple(row) == (links.image(source_id, ".png"), links.thumbnail(source_id, 256))


def parts(url: str) -> tuple[str, int, int, str]:
    path, _, query = url.partition("?")
    given = dict(pair.split("=") for pair in query.split("&"))
    return path, int(given["i"]), int(given["e"]), given["s"]


def test_a_url_holds_for_its_lifetime_and_no_longer_than_a_window_more() -> None:
    path, token_id, expiry, signature = parts(SIGNER.links("", 7, NOW).image(42))
    assert NOW + 3_600 <= expiry <= NOW + 3_600 + STABLE
    assert SIGNER.is_valid(path, token_id, expiry, signature, NOW)
    assert SIGNER.is_valid(path, token_id, expiry, signature, expiry - 1)
    assert not SIGNER.is_valid(path, token_id, expiry, signature, expiry)


def test_nothing_of_a_url_can_be_changed() -> None:
    path, token_id, expiry, signature = parts(SIGNER.links("", 7, NOW).image(42))
    assert path == "/images/42.jpg"
    assert not SIGNER.is_valid("/images/42", token_id, expiry, signature, NOW)
    assert not SIGNER.is_valid("/images/42.png", token_id, expiry, signature, NOW)
    assert not SIGNER.is_valid("/images/43.jpg", token_id, expiry, signature, NOW)
    assert not SIGNER.is_valid("/images/421.jpg", token_id, expiry, signature, NOW)
    assert not SIGNER.is_valid(path, 8, expiry, signature, NOW)
    assert not SIGNER.is_valid(path, token_id, expiry + 1, signature, NOW)
    assert not SIGNER.is_valid(path, token_id, expiry, signature[:-1], NOW)
    assert not SIGNER.is_valid(path, token_id, expiry, "", NOW)
    assert not SIGNER.is_valid(path, token_id, expiry, "é" * 32, NOW)
    assert not Signer(b"another secret", 3_600).is_valid(path, token_id, expiry, signature, NOW)


def test_urls_stay_the_same_for_a_while() -> None:
    start = (int(NOW) // STABLE) * STABLE
    assert SIGNER.links("", 7, start) == SIGNER.links("", 7, start + STABLE - 1)
    assert SIGNER.links("", 7, start) != SIGNER.links("", 7, start + STABLE)


async def test_all_servers_of_a_database_share_one_secret(database: Database) -> None:
    async with database.writing() as session:
        first = await secret(session)
    async with database.writing() as session:
        assert await secret(session) == first
    assert len(first) == 32
