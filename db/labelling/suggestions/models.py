"""The models that suggest: each version of one is a row of its dataset, made when it first suggests something."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlmodel.ext.asyncio.session import AsyncSession

from db.errors import Invalid, NotFound
from db.formats.names import UNNAMEABLE, excerpt, nfc
from db.postgres import sql

SQL: Final = sql.load(__file__)
LENGTH: Final = 256  # code points of a name or version


@dataclass(frozen=True, slots=True)
class ModelName:
    name: str
    version: str

    def checked(self) -> "ModelName":
        """In its one form. Raises Invalid."""
        return ModelName(_checked(self.name, "name"), _checked(self.version, "version"))


def _checked(text: str, field: str) -> str:
    composed = nfc(text)
    if not 1 <= len(composed) <= LENGTH or UNNAMEABLE.search(composed) or composed != composed.strip():
        raise Invalid(
            f"`{excerpt(text)}` cannot be a model's {field}: 1 to {LENGTH} characters, none of them a control "
            "character, without white space at the ends.",
            code="INVALID_NAME",
            name=excerpt(text),
        )
    return composed


async def versions(session: AsyncSession, dataset_id: int, name: str) -> dict[str, int]:
    """The ids of a model's versions, by version."""
    rows = await sql.run(session, SQL.versions, dataset_id=dataset_id, name=name)
    return {row["version"]: row["id"] for row in rows}


async def find(session: AsyncSession, dataset_id: int, models: Sequence[ModelName]) -> list[int]:
    """The ids of these models. Raises NotFound."""
    distinct = list(dict.fromkeys(each.checked() for each in models))
    values = {"names": [each.name for each in distinct], "versions": [each.version for each in distinct]}
    rows = await sql.run(session, SQL.find, dataset_id=dataset_id, **values)
    found = {ModelName(row["name"], row["version"]): row["id"] for row in rows}
    for each in distinct:
        if each not in found:
            raise NotFound(
                f"No model `{excerpt(each.name)}` of version `{excerpt(each.version)}` has suggested anything in this "
                "dataset; list them with `dataset { models }`.",
                name=excerpt(each.name),
                modelVersion=excerpt(each.version),
            )
    return list(found.values())


async def made(session: AsyncSession, dataset_id: int, model: ModelName) -> int:
    """The id of a model that suggests now, under a change."""
    id: int = await sql.value(session, SQL.make, dataset_id=dataset_id, name=model.name, version=model.version)
    return id
