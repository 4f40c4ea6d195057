"""The image of a source's id, with what serving its bytes needs."""

from dataclasses import dataclass
from typing import Final

from db.errors import DomainError
from db.formats.images import Format, is_shown
from db.postgres import sql
from db.postgres.engine import Database
from db.storage.locations import AllowedLocations

SQL: Final = sql.load(__file__)


@dataclass(frozen=True, slots=True)
class StoredImage:
    id: int
    dataset_id: int
    path: str
    etag: str
    size: int
    format: Format
    width: int | None
    height: int | None
    input_path: str

    @property
    def is_shown(self) -> bool:
        """Whether browsers show it as it is."""
        return is_shown(self.format, self.width, self.height)


async def find_image(database: Database, source_id: int) -> StoredImage | None:
    """None where there is no such source, or it is no image, or is gone."""
    row = await database.read_anywhere(lambda connection: sql.first(connection, SQL.find_image, source_id=source_id))
    return None if row is None else StoredImage(**row)


async def not_served(database: Database, allowed: AllowedLocations) -> list[str]:
    """A sentence for each dataset whose images the server's owner does not allow it to read."""
    async with database.reading() as connection:
        datasets = await sql.run(connection, SQL.input_paths)
    found = []
    for dataset in datasets:
        try:
            allowed.known(dataset["input_path"])
        except DomainError as error:
            found.append(
                f"The images of {dataset['name']}, in {dataset['input_path']}, are not served. {error.message}"
            )
    return found
