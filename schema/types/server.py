import strawberry

from schema.enums import ImageFormat


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
