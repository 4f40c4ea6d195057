"""How this server reaches S3. Apart from the folder `s3`, whose libraries only a server with buckets imports."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Config:
    """Times in seconds."""

    endpoint: str | None = None
    public_endpoint: str | None = None  # as browsers reach it, where that differs
    region: str = "us-east-1"
    access_key: str | None = field(default=None, repr=False)  # without one: that of the machine's role
    secret_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)
    addressing: str = "auto"  # path, virtual, or auto
    list_by_key: bool = False  # by ListObjects, for stores without ListObjectsV2
    links: bool = True  # browsers may fetch images from the store itself
    page: int = 1_000  # keys in a page of a listing
    connections: int = 32
    connect: float = 3.0
    read: float = 10.0
    attempts: int = 4
    deadline: float = 60.0
