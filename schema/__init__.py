"""The GraphQL schema: types, enums, inputs, mutations, subscriptions, permissions and errors; how operations run."""

from datetime import datetime
from pathlib import Path
from typing import Final

from strawberry.schema.config import StrawberryConfig

from db.ingest.uploads import Incoming
from schema.execution.document_limits import DocumentLimits
from schema.execution.schema import LabelgraphSchema
from schema.mutations import Mutation
from schema.queries import Query
from schema.subscriptions import Subscription
from schema.types.event import EVENT_TYPES
from schema.types.job import ImportJob, ManifestJob, SyncJob
from schema.types.scalars import DATE_TIME, UPLOAD

VERSION: Final = "0.1.0"
SNAPSHOT: Final = Path(__file__).with_name("schema.graphql")


def build_schema(document_limits: DocumentLimits | None = None) -> LabelgraphSchema:
    """The whole schema; documents beyond the limits are refused before they are validated."""
    return LabelgraphSchema(
        version=VERSION,
        document_limits=document_limits,
        query=Query,
        mutation=Mutation,
        subscription=Subscription,
        types=[SyncJob, ImportJob, ManifestJob, *EVENT_TYPES],
        config=StrawberryConfig(scalar_map={datetime: DATE_TIME, Incoming: UPLOAD}),
    )


def sdl() -> str:
    """The schema in GraphQL's own language, as committed in `schema.graphql`."""
    return build_schema().as_str() + "\n"
