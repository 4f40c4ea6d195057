"""A dataset of files that a server shows."""

import io
from dataclasses import dataclass
from pathlib import Path

import httpx2
from PIL import Image

from db.identity import tokens
from db.identity.tokens import Identity
from db.identity.urls import Links
from db.postgres.engine import Database
from db.postgres.sql import connection_of
from db.storage import LocalStore
from tests.client import Client

SECRET = "the tests' secret"


def image_bytes(kind: str = "JPEG", *, size: tuple[int, int] = (300, 200), orientation: int = 1) -> bytes:
    image, out = Image.new("RGB", size, "teal"), io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(out, kind, **({"exif": exif} if kind in ("JPEG", "TIFF") else {}))
    return out.getvalue()


@dataclass(slots=True)
class Gallery:
    """A dataset of files, served."""

    client: Client
    database: Database
    root: Path
    dataset_id: int
    links: Links

    async def add(self, name: str, data: bytes, kind: str | None = "JPEG", *, width: int | None = None) -> int:
        """A file as a sync would know it; its source's id."""
        (self.root / name).parent.mkdir(parents=True, exist_ok=True)
        (self.root / name).write_bytes(data)
        stored = await LocalStore(self.root).stat(name)
        assert stored is not None
        async with self.database.writing() as session:
            connection = await connection_of(session)
            status = "PRESENT" if kind else "UNREADABLE"
            return int(
                await connection.fetchval(
                    """INSERT INTO source (dataset_id, path, etag, size, modified_at, format, status, width)
                    VALUES ($1, $2, md5($3::bytea), $4, $5, $6, $7, $8) RETURNING id""",
                    self.dataset_id,
                    name,
                    data,
                    len(data),
                    stored.modified_at,
                    kind,
                    status,
                    width,
                )
            )

    async def get(self, path: str, **headers: str) -> httpx2.Response:
        """Without a token: the URL is all that an `<img>` tag has."""
        return await Client(self.client.url).request(
            "GET", path, headers={k.replace("_", "-"): v for k, v in headers.items()}
        )


async def identified(database: Database, text: str) -> Identity:
    async with database.reading() as connection:
        identity = await tokens.verify(connection, text)
    assert identity is not None
    return identity
