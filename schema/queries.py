"""The root fields of Query, and what they say of the server."""

from typing import Annotated

import strawberry

from schema.enums import DatasetOrder, ImageFormat
from schema.inputs.filters import DatasetByInput, DatasetFilter
from schema.types.dataset import Dataset
from schema.types.node import Node, compiled
from schema.types.pagination import After, Before, Connection, First, Last


@strawberry.type(description="Who is asking.")
class Viewer:
    name: str = strawberry.field(description="The token's name: what `labeledBy` will show.")


@strawberry.type(description="How much may be uploaded at once.")
class UploadLimits:
    max_file_bytes: int = strawberry.field(description="Bytes of one file, inclusive.")
    max_request_bytes: int = strawberry.field(description="Bytes of all files of one request, inclusive.")
    formats: list[ImageFormat] = strawberry.field(description="What is accepted, by content.")


@strawberry.type(description="What this server is, and its limits.")
class ServerInfo:
    version: str = strawberry.field(description="Labelgraph's version.")
    upload_limits: UploadLimits = strawberry.field(description="Limits of uploads.")
    max_page_size: int = strawberry.field(description="Most items that `first` or `last` may ask for.")


@strawberry.type(description="Everything that can be read. One query is one SQL statement, and sees one state.")
class Query:
    @strawberry.field(description="Whatever has this global id, or null.")
    def node(self, id: Annotated[strawberry.ID, strawberry.argument(description="A global id.")]) -> Node | None:
        compiled()

    @strawberry.field(description="Whatever has these global ids, in their order; null where there is nothing.")
    def nodes(
        self,
        ids: Annotated[
            list[strawberry.ID], strawberry.argument(description="At most as many global ids as a page may hold items.")
        ],
    ) -> list[Node | None]:
        compiled()

    viewer: Viewer = strawberry.field(description="Who is asking.")
    server_info: ServerInfo = strawberry.field(description="What this server is, and its limits.")

    @strawberry.field(description="The datasets that the token may see.")
    def datasets(
        self,
        filter: Annotated[DatasetFilter | None, strawberry.argument(description="Only datasets like this.")] = None,
        order_by: Annotated[DatasetOrder, strawberry.argument(description="The order.")] = DatasetOrder.NEWEST,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[Dataset]:
        compiled()

    @strawberry.field(description="One dataset, or null.")
    def dataset(self, by: Annotated[DatasetByInput, strawberry.argument(description="Which one.")]) -> Dataset | None:
        compiled()
