"""The root fields of Query, and what they say of the server."""

from datetime import datetime
from typing import Annotated

import strawberry

from schema.enums import ImageFormat, ServerFeature, TokenScope
from schema.inputs.filters import DatasetByInput, DatasetFilter
from schema.inputs.orders import NEWEST_DATASETS, DatasetOrderInput
from schema.types.dataset import Dataset
from schema.types.node import Node, compiled
from schema.types.pagination import After, Before, Connection, First, Last


@strawberry.type(description="The token that sends the request.")
class Viewer:
    name: str = strawberry.field(description="Name of the token. `labeledBy` shows it.")
    scope: TokenScope = strawberry.field(description="What the token may do.")
    expires_at: datetime | None = strawberry.field(description="When the token expires. Null if it does not expire.")
    dataset_ids: list[strawberry.ID] | None = strawberry.field(
        description="Ids of the datasets that the token is limited to, in their order, including deleted ones. Null if "
        "it may access all datasets."
    )
    can_create_datasets: bool = strawberry.field(
        description="Whether the token may create datasets: with the scope MANAGE, if it is not limited to certain "
        "datasets."
    )


@strawberry.type(description="The limits of uploads.")
class UploadLimits:
    max_file_bytes: int = strawberry.field(description="Largest size of one file in bytes, inclusive.")
    max_request_bytes: int = strawberry.field(
        description="Largest size of all files of one request in bytes, inclusive."
    )
    formats: list[ImageFormat] = strawberry.field(
        description="The formats that a dataset accepts by default. `Dataset.imageFormats` has those of a dataset."
    )


@strawberry.type(description="The version of the server, and its limits.")
class ServerInfo:
    version: str = strawberry.field(description="The version of Labelgraph.")
    upload_limits: UploadLimits = strawberry.field(description="The limits of uploads.")
    max_page_size: int = strawberry.field(description="The highest value of `first` and `last`.")
    features: list[ServerFeature] = strawberry.field(
        description="What this server can do and others may not. What needs a feature that is missing is refused with "
        "FEATURE_UNAVAILABLE."
    )


@strawberry.type(description="All read operations. A query is one SQL statement and reads one consistent state.")
class Query:
    @strawberry.field(description="The object with this global id, or null.")
    def node(
        self, id: Annotated[strawberry.ID, strawberry.argument(description="Global id of the object.")]
    ) -> Node | None:
        compiled()

    @strawberry.field(
        description="The objects with these global ids, in the same order. Null for each id that is not found."
    )
    def nodes(
        self,
        ids: Annotated[
            list[strawberry.ID], strawberry.argument(description="Global ids, at most `serverInfo { maxPageSize }`.")
        ],
    ) -> list[Node | None]:
        compiled()

    viewer: Viewer = strawberry.field(description="The token that sends the request.")
    server_info: ServerInfo = strawberry.field(description="The version of the server, and its limits.")

    @strawberry.field(description="The datasets that the token may access.")
    def datasets(
        self,
        filter: Annotated[
            DatasetFilter | None, strawberry.argument(description="Return only datasets that match this filter.")
        ] = None,
        order_by: Annotated[
            DatasetOrderInput, strawberry.argument(description="The order of the items; newest first by default.")
        ] = NEWEST_DATASETS,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[Dataset]:
        compiled()

    @strawberry.field(description="The dataset with this id or name, or null.")
    def dataset(
        self, by: Annotated[DatasetByInput, strawberry.argument(description="Id or name of the dataset.")]
    ) -> Dataset | None:
        compiled()
