"""Suggestions of models, as rows: independent of the writers under test."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from db.history import changes
from db.history.derived_state import SURENESS
from db.identity.tokens import Identity, Scope
from db.labelling import annotations
from db.labelling.samples.selection import LockedSamples
from db.postgres.engine import Database
from db.postgres.sql import connection_of

NET = ("net", "1")
BOX = '{"type": "BoundingBox", "xMin": 1, "yMin": 2, "xMax": 3, "yMax": 4}'
SUGGESTER = Identity("net", Scope.LABEL, token_id=3)


# For tests that write suggestions by themselves: how sure models are of every sample.
DERIVE = f"""
    UPDATE sample SET {", ".join(f"{name} = derived.{name}" for name in SURENESS)}
    FROM sample s CROSS JOIN LATERAL derived_state(s.id) derived
    WHERE sample.id = s.id
      AND ({", ".join(f"s.{name}" for name in SURENESS)})
          IS DISTINCT FROM ({", ".join(f"derived.{name}" for name in SURENESS)})
"""


class Suggested(NamedTuple):
    label: int
    confidence: float | None
    model: tuple[str, str] | None = NET
    shape: str | None = None


async def suggest(database: Database, dataset_id: int, samples: Mapping[int, Sequence[Suggested]]) -> int:
    """One change, whose id is returned. Models are made where they are missing."""
    async with database.writing() as session:
        await changes.lock_dataset(session, dataset_id, SUGGESTER)
        change = await changes.record(session, dataset_id, "net", "ANNOTATE_SAMPLES", "Suggested")
        connection = await connection_of(session)
        every = [(sample, each) for sample, suggestions in samples.items() for each in suggestions]
        models = {model: await _model(connection, dataset_id, model) for model in {each.model for _, each in every}}
        await connection.executemany(
            """INSERT INTO annotation (dataset_id, sample_id, label_id, labeled_by, origin, confidence, confirmed,
                                       shape, since, model_id)
            VALUES ($1, $2, $3, 'net', 'MODEL', $4, false, $5, $6, $7)""",
            [
                (dataset_id, sample, each.label, each.confidence, each.shape, change.revision, models[each.model])
                for sample, each in every
            ],
        )
        selected = LockedSamples(dataset_id, len(samples), tuple(sorted(samples)))
        await annotations.refresh_derived_state(session, selected, change, origin=None)
    return change.id


async def _model(connection: Any, dataset_id: int, model: tuple[str, str] | None) -> Any:
    if model is None:
        return None
    return await connection.fetchval(
        """INSERT INTO model (dataset_id, name, version) VALUES ($1, $2, $3)
        ON CONFLICT (dataset_id, name, version) DO UPDATE SET name = excluded.name RETURNING id""",
        *(dataset_id, *model),
    )
