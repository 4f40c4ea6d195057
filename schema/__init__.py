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
from schema.types.auto_label import AutoLabelJob
from schema.types.event import EVENT_TYPES
from schema.types.job import ExportJob, ImportJob, LargeChangeJob, ManifestJob, SyncJob
from schema.types.scalars import DATE_TIME, UPLOAD

VERSION: Final = "0.2.0"
SNAPSHOT: Final = Path(__file__).with_name("schema.graphql")
DESCRIPTION: Final = (
    "Labelgraph is a server for labelled image datasets, with a history of their changes and with published versions. "
    "Objects have opaque global ids; `node` returns the object with an id. Long lists come in pages: request them with "
    "`first` and `after`, or with `last` and `before`. An error has a sentence in `message`, and a stable code (see "
    "`ErrorCode`) and details in `extensions`. A mutation with an `Idempotency-Key` header can be sent again within 24 "
    "hours and takes effect once."
)


def build_schema(document_limits: DocumentLimits | None = None) -> LabelgraphSchema:
    """The whole schema; documents beyond the limits are refused before they are validated."""
    return LabelgraphSchema(
        version=VERSION,
        description=DESCRIPTION,
        document_limits=document_limits,
        query=Query,
        mutation=Mutation,
        subscription=Subscription,
        types=[SyncJob, ImportJob, ManifestJob, ExportJob, LargeChangeJob, AutoLabelJob, *EVENT_TYPES],
        config=StrawberryConfig(scalar_map={datetime: DATE_TIME, Incoming: UPLOAD}),
    )


def sdl() -> str:
    """The schema in GraphQL's own language, as committed in `schema.graphql`."""
    return build_schema().as_str() + "\n"
