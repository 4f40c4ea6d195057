"""How this server reaches S3."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Config:
    """How this server reaches S3: its owner's choice, never a client's. Times in seconds."""

    endpoint: str | None = None
    public_endpoint: str | None = None  # as browsers reach it, where that differs
    region: str = "us-east-1"
    access_key: str | None = field(default=None, repr=False)  # without one: what the machine itself is given
    secret_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)
    addressing: str = "auto"  # path, virtual, or auto
    list_by_key: bool = False  # ListObjects as it first was, for stores without its second version
    links: bool = True  # browsers may fetch images from the store themselves
    page: int = 1_000  # keys in a page of a listing
    connections: int = 32
    connect: float = 3.0
    read: float = 10.0
    attempts: int = 4
    deadline: float = 60.0
