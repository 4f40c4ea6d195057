"""Every setting of a process, and the only place that reads the environment.

A field's metadata is its manual: `describe()` lists it, the README prints it, and a test keeps the two equal.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import Field, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, NamedTuple, Self, get_type_hints
from urllib.parse import urlsplit

from api.command_errors import CommandError
from db import defaults

CHECKOUT = Path(__file__).parent.parent
MIB = defaults.MIB
MAX_PORT = 65_535


class BadSetting(CommandError):
    """A setting that cannot be understood; the message names the variable and says what it takes."""


class Rule(NamedTuple):
    """What a value must be, beyond its type."""

    holds: Callable[[Any], bool]
    words: str


def _is_postgres(text: str) -> bool:
    url = urlsplit(text)
    return url.scheme.partition("+")[0] in ("postgresql", "postgres") and (url.port is None or url.port > 0)


def _is_http(text: str) -> bool:
    url = urlsplit(text)
    return url.scheme in ("http", "https") and bool(url.hostname) and (url.port is None or url.port > 0)


def one_of(*words: str) -> Rule:
    return Rule(lambda text: text.lower() in words, f"it takes {', '.join(words[:-1])} or {words[-1]}")


AT_LEAST_ONE = Rule(lambda number: number >= 1, "it takes a whole number, 1 or greater")
A_PORT = Rule(lambda number: number <= MAX_PORT, f"it takes a port, 0 to {MAX_PORT}")
A_POSTGRES_URL = Rule(_is_postgres, "it takes a URL as postgresql://user:password@host:5432/database")
LOG_LEVEL = one_of("critical", "error", "warning", "info", "debug")
AN_HTTP_URL = Rule(_is_http, "it takes a URL as https://host")


def setting(
    default: Any,
    help: str,  # noqa: A002 (argparse calls it so)
    *,
    env: str | None = None,
    secret: bool = False,
    rule: Rule | None = None,
) -> Any:
    return field(default=default, repr=not secret, metadata={"help": help, "env": env, "rule": rule, "secret": secret})


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one request may ask for. Sizes in bytes."""

    body: int = setting(MIB, "largest JSON body of a request, in bytes")
    json_depth: int = setting(64, "deepest nesting of a JSON body")
    source: int = setting(defaults.SOURCE, "largest GraphQL document, in bytes")
    tokens: int = setting(defaults.TOKENS, "most lexical tokens in a document")
    depth: int = setting(defaults.DEPTH, "deepest selection of a document; introspection has its own limit")
    aliases: int = setting(defaults.ALIASES, "most aliases in a document, fragments expanded")
    root_fields: int = setting(defaults.ROOT_FIELDS, "most root fields of an operation")
    directives: int = setting(defaults.DIRECTIVES, "most directives in a document")
    cost: int = setting(
        defaults.COST,
        "most values a query may ask for: page sizes multiplied down the document, and what its filters search",
    )
    answer: int = setting(
        defaults.ANSWER, "longest answer of a query, in bytes; a longer one is stopped in the database"
    )
    inputs: int = setting(defaults.INPUTS, "most input objects in the variables of a request")
    page: int = setting(defaults.PAGE, "largest page of a connection, and most ids of `nodes`", rule=AT_LEAST_ONE)
    ids: int = setting(defaults.IDS, "most ids of samples in one call")
    upload_file: int = setting(defaults.UPLOAD_FILE, "largest uploaded image, in bytes, inclusive")
    upload_request: int = setting(defaults.UPLOAD_REQUEST, "largest upload request, in bytes, inclusive")
    uploads: int = setting(
        16,
        "uploads in hand at once in one process, and as many checks of what was put into storage; others wait",
        rule=AT_LEAST_ONE,
    )
    socket_message: int = setting(64 * 1024, "largest message of a WebSocket client, in bytes")
    subscriptions: int = setting(20, "most subscriptions on one WebSocket")
    sockets: int = setting(64, "most WebSockets and event streams of one token in one process")
    socket_messages: int = setting(
        100,
        "messages and control frames that a WebSocket client sends in a second; after ten times as many it is closed",
    )
    connections: int = setting(
        2_000, "most connections of one process; for a new one the longest idle is closed, else it gets 503"
    )
    address_connections: int = setting(
        128, "most connections of one address, and requests at once of a client behind a proxy; more get 429"
    )
    token_requests: int = setting(256, "most HTTP requests of one token at once in one process; more get 429")
    images: int = setting(
        4, "images decoded at once by one process of the server, each by a process of its own", rule=AT_LEAST_ONE
    )
    image_file: int = setting(
        25 * MIB, "largest image that a sync takes and a thumbnail is made of, in bytes, inclusive"
    )
    image_pixels: int = setting(64_000_000, "most pixels of an image; its sides have at most 16,384")
    image_memory: int = setting(
        1024 * MIB, "memory of a process that decodes an image, in bytes: 12 a pixel are enough"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long things may take, in seconds."""

    header: float = setting(5.0, "until a request's headers are complete, in seconds")
    keep_alive: float = setting(75.0, "until a connection without a request is closed, in seconds")
    write: float = setting(20.0, "until a connection is closed whose client reads nothing of an answer, in seconds")
    body: float = setting(8.0, "until a request's body is complete, in seconds")
    upload: float = setting(60.0, "until a request with files, or a file that is put, is complete, in seconds")
    query: float = setting(10.0, "for a query as a whole, in seconds")
    mutation: float = setting(60.0, "for a mutation as a whole, in seconds")
    image: float = setting(10.0, "processor time to decode an image, in whole seconds; by the clock four times as long")
    lock: float = setting(5.0, "until a database lock is granted, in seconds")
    connect: float = setting(5.0, "until a database connection is open, in seconds")
    disk: float = setting(20.0, "until a local disk answers, in seconds")
    socket_init: float = setting(5.0, "until a WebSocket client has sent connection_init, in seconds")

    @property
    def shutdown(self) -> float:
        """A stopping server waits for what it has begun, and two seconds more."""
        return max(self.query, self.mutation) + 2


@dataclass(frozen=True, slots=True, kw_only=True)
class S3:
    """How this server reaches S3. With none of `endpoint`, `access_key` and `buckets` there is no S3."""

    endpoint: str | None = setting(None, "URL of the S3 server; without it Amazon's of the region", rule=AN_HTTP_URL)
    public_endpoint: str | None = setting(
        None, "URL of the same S3 server as browsers reach it, where that differs", rule=AN_HTTP_URL
    )
    region: str = setting("us-east-1", "region of the buckets")
    access_key: str | None = setting(
        None, "access key id; without it the machine's own role, if `LABELGRAPH_S3_BUCKETS` names buckets", secret=True
    )
    secret_key: str | None = setting(None, "secret access key", secret=True)
    session_token: str | None = setting(None, "session token of temporary keys", secret=True)
    addressing: str = setting(
        "auto", "`path` (host/bucket), `virtual` (bucket.host) or `auto`", rule=one_of("auto", "path", "virtual")
    )
    buckets: tuple[str, ...] = setting(
        (), "buckets that datasets may lie in, separated by `,`; without it all that the keys open"
    )
    links: bool = setting(
        True,
        "browsers fetch images from S3, and scripts put files there, by presigned URLs; false: through this server",
    )
    list_by_key: bool = setting(False, "list by the first version of ListObjects, for servers without the second")
    connections: int = setting(32, "connections to S3 of one process", rule=AT_LEAST_ONE)
    read: float = setting(10.0, "until S3 sends the next bytes, in seconds")
    deadline: float = setting(60.0, "for one operation of S3 with all its retries, in seconds")

    @property
    def given(self) -> bool:
        return bool(self.endpoint or self.access_key or self.buckets)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of one process; immutable, passed down from the composition root."""

    database_url: str | None = setting(
        None,
        "postgresql://… of a server ≥ 15; without it the server runs its own Postgres",
        env="DATABASE_URL",
        secret=True,
        rule=A_POSTGRES_URL,
    )
    listen_url: str | None = setting(
        None,
        "direct postgresql://… for LISTEN, locks and migrations, where DATABASE_URL goes through PgBouncer in "
        "transaction mode",
        secret=True,
        rule=A_POSTGRES_URL,
    )
    pooled: bool = setting(
        False, "true behind PgBouncer in transaction mode: nothing is kept from one transaction to the next"
    )
    pool_size: int = setting(
        10, "database connections for reading, and as many for writing, of one process", rule=AT_LEAST_ONE
    )
    searches: int = setting(
        4,
        "costly queries (that filter, count, compare or list much) of one process at once, half of them of one token",
        rule=AT_LEAST_ONE,
    )
    pg_bin: Path | None = setting(None, "folder of the Postgres programs for the embedded server")
    data_dir: Path = setting(
        CHECKOUT / ".data",
        "where the embedded Postgres, its owner's token, thumbnails and the demo lie; `.data` is that of the checkout",
        env="LABELGRAPH_DATA",
    )
    allowed_roots: tuple[Path, ...] = setting(
        (), "folders below which local input paths may lie, separated by `:`", env="LABELGRAPH_ALLOW_ROOT"
    )
    host: str = setting("127.0.0.1", "address to listen on")
    port: int = setting(8000, "port to listen on; 0 takes a free one", rule=A_PORT)
    public_url: str | None = setting(
        None, "the URL clients use, where a proxy changes it; image URLs start with it", rule=AN_HTTP_URL
    )
    hosts: tuple[str, ...] = setting(
        (), "names by which clients reach this server, separated by `,`, beside those of this machine; `*` is any"
    )
    proxies: str = setting("127.0.0.1", "proxies whose X-Forwarded-* headers are believed, separated by `,`")
    allowed_origins: tuple[str, ...] = setting(
        (), "origins of web pages that may call the API, separated by `,`; `*` is all"
    )
    secret: str | None = setting(
        None, "signs URLs of images and uploads; without it one is made and kept in the database", secret=True
    )
    url_lifetime: int = setting(
        3600, "how long a signed URL works, of an image or for an upload, in seconds", rule=AT_LEAST_ONE
    )
    thumbnail_cache_bytes: int = setting(
        1024 * MIB, "disk that kept thumbnails may take, in bytes; those not seen for longest go first, 0 keeps none"
    )
    worker: bool = setting(True, "run a worker inside `serve`")
    jobs: int = setting(2, "jobs that one worker runs at once", rule=AT_LEAST_ONE)
    removal_percent: int = setting(
        50, "share of a dataset's samples, in percent, that a sync may remove without `removeMany`"
    )
    removal_samples: int = setting(20, "samples up to which a dataset may lose all of them to a sync")
    log_level: str = setting("info", "critical, error, warning, info or debug", rule=LOG_LEVEL)
    s3: S3 = field(default_factory=S3)
    limits: Limits = field(default_factory=Limits)
    timeouts: Timeouts = field(default_factory=Timeouts)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """Defaults overlaid by the variables that are set and not empty. Raises BadSetting."""
        limits = Limits(**_given(Limits, environ, "LABELGRAPH_LIMIT_"))
        timeouts = Timeouts(**_given(Timeouts, environ, "LABELGRAPH_TIMEOUT_"))
        s3 = S3(**_given(S3, environ, "LABELGRAPH_S3_"))
        given = _given(cls, environ, "LABELGRAPH_")
        if given.get("pooled") and "listen_url" not in given:
            raise BadSetting(
                "LABELGRAPH_POOLED needs LABELGRAPH_LISTEN_URL: locks and notices must not go through a pooler."
            )
        return cls(limits=limits, timeouts=timeouts, s3=s3).with_changes(**given)

    def with_changes(self, **changes: Any) -> Self:
        """The same settings with some replaced (the command line's arguments), paths made absolute."""
        changed = replace(self, **changes)
        return replace(changed, data_dir=_absolute(changed.data_dir), allowed_roots=_roots(changed.allowed_roots))

    @property
    def embedded(self) -> bool:
        """Whether this process runs (or joins) its own Postgres."""
        return self.database_url is None


class Description(NamedTuple):
    env: str
    default: str
    help: str


_SECTIONS: Sequence[tuple[type, str]] = (
    (Settings, "LABELGRAPH_"),
    (S3, "LABELGRAPH_S3_"),
    (Limits, "LABELGRAPH_LIMIT_"),
    (Timeouts, "LABELGRAPH_TIMEOUT_"),
)


def describe() -> Iterator[Description]:
    """Every variable with its default as it would be written in the environment, in the order of the README's table."""
    for owner, prefix in _SECTIONS:
        for item in fields(owner):
            if "help" in item.metadata:
                yield Description(_name(item, prefix), _text(item.default), item.metadata["help"])


def _given(owner: type, environ: Mapping[str, str], prefix: str) -> dict[str, Any]:
    hints = get_type_hints(owner)
    items = {item.name: item for item in fields(owner) if "help" in item.metadata}
    names = {name: env for name, item in items.items() if environ.get(env := _name(item, prefix))}
    return {name: _read(items[name], env, environ[env], hints[name]) for name, env in names.items()}


def _read(item: Field[Any], env: str, text: str, kind: object) -> object:
    """The value of a variable. Raises BadSetting, without the text of a secret."""
    rule: Rule | None = item.metadata["rule"]
    try:
        value = _parse(text, kind)
        if rule is None or rule.holds(value):
            return value
    except (KeyError, ValueError):
        pass
    given = env if item.metadata["secret"] else f"{env}={text}"
    raise BadSetting(f"{given} cannot be understood: {rule.words if rule else _EXPECTED[kind]}.")


def _name(item: Field[Any], prefix: str) -> str:
    return str(item.metadata["env"] or prefix + item.name.upper())


def _parse(text: str, kind: object) -> object:
    """Raises KeyError or ValueError for what is no value of that type."""
    separator = os.pathsep if kind == tuple[Path, ...] else ","
    parts = [part.strip() for part in text.split(separator) if part.strip()]
    match kind:
        case _ if kind is bool:
            return _SWITCHES[text.strip().lower()]
        case _ if kind in (int, float):
            return _number(text, kind)
        case _ if kind == tuple[Path, ...]:
            return tuple(Path(part) for part in parts)
        case _ if kind == tuple[str, ...]:
            return tuple(parts)
        case _ if kind in (Path, Path | None):
            return Path(text)
        case _:
            return text


def _number(text: str, kind: object) -> int | float:
    """A count may be 0, a time limit may not: it would stop everything at once."""
    number = float(text) if kind is float else int(text)
    if not 0 <= number < float("inf") or (kind is float and number == 0):
        raise ValueError(text)
    return number


_SWITCHES = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
_EXPECTED: Mapping[object, str] = {
    bool: "it takes true or false",
    int: "it takes a whole number, 0 or greater",
    float: "it takes a number of seconds, greater than 0",
}


def _text(default: object) -> str:
    match default:
        case None | ():
            return ""
        case bool():
            return str(default).lower()
        case float():
            return f"{default:g}"
        case Path():
            return str(default.relative_to(CHECKOUT))
        case _:
            return str(default)


def _absolute(path: Path) -> Path:
    return path.expanduser().absolute()


def _roots(paths: tuple[Path, ...]) -> tuple[Path, ...]:
    """Symlinks resolved once, so that a path below a root can be compared with it."""
    return tuple(_absolute(path).resolve() for path in paths)
