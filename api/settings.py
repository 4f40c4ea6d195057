"""Every setting of a process, and the only module that reads the environment.

A field's description is its manual: docs/settings.md prints it, and a test keeps the two equal.
"""

import ipaddress
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, FiniteFloat, PositiveInt, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from api.command_errors import CommandError
from db import defaults
from db.auto_labelling.allowed import ModelHost

CHECKOUT: Final = Path(__file__).parent.parent
MIB: Final = defaults.MIB
MAX_PORT: Final = 65_535
HOST: Final = re.compile(r"\*|(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+)(:[0-9]+)?")
ORIGIN: Final = re.compile(r"\*|null|[A-Za-z][A-Za-z0-9+.-]*://[^/\s]+")


class BadSetting(CommandError):
    """A setting that is not valid; the message names the variable and says what it takes."""


def _is_postgres(text: str) -> bool:
    url = urlsplit(text)
    ports = [urlsplit(f"//{host}").port for host in url.netloc.rpartition("@")[2].split(",")]
    return url.scheme.partition("+")[0] in ("postgresql", "postgres") and 0 not in ports


def _is_http(text: str) -> bool:
    url = urlsplit(text)
    return url.scheme in ("http", "https") and bool(url.hostname) and (url.port is None or url.port > 0)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _text_that(is_valid: Callable[[str], object], otherwise: str) -> AfterValidator:
    def check(text: str) -> str:
        try:
            valid = is_valid(text)
        except ValueError:  # a port that is no number
            valid = False
        if not valid:
            raise ValueError(otherwise)
        return text

    return AfterValidator(check)


def _separated_by(separator: str) -> BeforeValidator:
    def split(value: object) -> object:
        return [part.strip() for part in value.split(separator) if part.strip()] if isinstance(value, str) else value

    return BeforeValidator(split)


def _absolute(path: Path) -> Path:
    return path.expanduser().absolute()


def _is_model_host(text: str) -> bool:
    return bool(ModelHost.parse(text))


Count = Annotated[int, Field(ge=0)]
Port = Annotated[int, Field(ge=0, le=MAX_PORT)]
Side = Annotated[int, Field(ge=1, le=65_535)]
Percent = Annotated[int, Field(ge=0, le=100)]
Share = Annotated[FiniteFloat, Field(ge=0, le=1)]
LOWER_CASE = BeforeValidator(str.lower)
Flag = Annotated[bool, BeforeValidator(lambda value: value.strip() if isinstance(value, str) else value)]
Seconds = Annotated[FiniteFloat, Field(gt=0)]
PostgresUrl = Annotated[
    str, _text_that(_is_postgres, "it should be a URL as postgresql://user:password@host:5432/database")
]
HttpUrl = Annotated[str, _text_that(_is_http, "it should be a URL as https://host")]
Host = Annotated[str, _text_that(HOST.fullmatch, "it should be names as labels.example.com, or `*`")]
ModelAt = Annotated[
    str,
    _text_that(
        _is_model_host, "it should be hosts as models.example.com:9090, or user:password@models.example.com:9090"
    ),
]
Origin = Annotated[str, _text_that(ORIGIN.fullmatch, "it should be origins as https://labels.example.com, or `*`")]
# Symlinks resolved once, so that a path below a root can be compared with it.
Root = Annotated[Path, AfterValidator(lambda path: _absolute(path).resolve())]


def setting(default: Any, help: str, **more: Any) -> Any:  # noqa: A002 (argparse calls it so)
    return Field(default, description=help, **more)


class Variables(EnvSettingsSource):
    """The environment. A field is read from its own variable only: `port` and `secret` belong to other programs."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        name = str(field.validation_alias)
        return self.env_vars.get(name), name, False


class Section(BaseSettings):
    """Fields that no argument sets are read from the environment; an empty variable counts as absent."""

    model_config = SettingsConfigDict(
        frozen=True,
        case_sensitive=True,
        enable_decoding=False,  # lists are separated by commas, and no value is JSON
        env_ignore_empty=True,
        hide_input_in_errors=True,
        populate_by_name=True,
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        *_: Any,
        **__: Any,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, Variables(settings_cls)

    def with_changes(self, **changes: Any) -> Self:
        """The same settings with some replaced. The changes are not validated."""
        return self.model_copy(update=changes)


def _variables(prefix: str) -> Callable[[str], str]:
    """The name of each field's variable, unless the field has one of its own."""
    return lambda name: prefix + name.upper()


class Limits(Section, alias_generator=_variables("LABELGRAPH_LIMIT_")):
    """What one request may ask for. Sizes in bytes."""

    body: Count = setting(MIB, "largest JSON body of a request, in bytes")
    json_depth: Count = setting(64, "deepest nesting of a JSON body")
    source: Count = setting(defaults.SOURCE, "largest GraphQL document, in bytes")
    tokens: Count = setting(defaults.TOKENS, "most lexical tokens in a document")
    depth: Count = setting(defaults.DEPTH, "deepest selection of a document; introspection has its own limit")
    aliases: Count = setting(defaults.ALIASES, "most aliases in a document, fragments expanded")
    root_fields: Count = setting(defaults.ROOT_FIELDS, "most root fields of an operation")
    directives: Count = setting(defaults.DIRECTIVES, "most directives in a document")
    cost: Count = setting(
        defaults.COST,
        "most values a query may request: page sizes multiplied down the document, and what its filters search",
    )
    answer: Count = setting(
        defaults.ANSWER, "longest answer of a query, in bytes; a longer one is stopped in the database"
    )
    inputs: Count = setting(defaults.INPUTS, "most input objects in the variables of a request")
    persisted_queries: Count = setting(
        4 * MIB,
        "memory for the documents that clients sent with their hash (automatic persisted queries), in bytes, an eighth "
        "of it for one token; 0 keeps none",
    )
    page: PositiveInt = setting(defaults.PAGE, "largest page of a connection, and most ids of `nodes`")
    ids: Count = setting(defaults.IDS, "most ids of samples in one call")
    upload_file: Count = setting(defaults.UPLOAD_FILE, "largest uploaded image, in bytes, inclusive")
    upload_request: Count = setting(defaults.UPLOAD_REQUEST, "largest upload request, in bytes, inclusive")
    staged: Count = setting(
        defaults.STAGED,
        "files that one dataset may wait for at a time, in bytes: requested, and neither completed or imported nor "
        "expired; one token at most for half of what the others leave",
    )
    uploads: PositiveInt = setting(
        16, "uploads at once in one process, and as many checks of files that clients put into storage; others wait"
    )
    socket_message: Count = setting(64 * 1024, "largest message of a WebSocket client, in bytes")
    subscriptions: Count = setting(20, "most subscriptions on one WebSocket")
    sockets: Count = setting(64, "most WebSockets and event streams of one token in one process")
    socket_messages: Count = setting(
        100,
        "messages and control frames that a WebSocket client sends in a second; after ten times as many it is closed",
    )
    connections: Count = setting(
        2_000, "most connections of one process; for a new one the longest idle is closed, else it gets 503"
    )
    address_connections: Count = setting(
        128,
        "most connections of one address to one process, and requests at once of a client behind a proxy; more get 429",
    )
    token_requests: Count = setting(256, "most HTTP requests of one token at once in one process; more get 429")
    token_operations: Count = setting(
        300,
        "operations that one token sends in a second to one process; after ten times as many at once more get 429. 0: "
        "any number",
    )
    images: PositiveInt = setting(
        4, "images decoded at once by one process of the server, each by a process of its own"
    )
    image_file: Count = setting(
        25 * MIB, "largest image that a sync adds and a thumbnail is made of, in bytes, inclusive"
    )
    image_pixels: Count = setting(64_000_000, "most pixels of an image")
    image_side: Side = setting(16_384, "most pixels of an image's longer side, at most 65,535")
    image_memory: Count = setting(
        1280 * MIB, "memory of a process that decodes an image, in bytes: 20 a pixel are enough"
    )


class Timeouts(Section, alias_generator=_variables("LABELGRAPH_TIMEOUT_")):
    """How long things may take, in seconds."""

    header: Seconds = setting(5.0, "until a request's headers are complete, in seconds")
    keep_alive: Seconds = setting(75.0, "until a connection without a request is closed, in seconds")
    write: Seconds = setting(20.0, "until a connection is closed whose client reads nothing of an answer, in seconds")
    body: Seconds = setting(8.0, "until a request's body is complete, in seconds")
    upload: Seconds = setting(60.0, "until a request with files, or the PUT of a file, is complete, in seconds")
    query: Seconds = setting(10.0, "for a query as a whole, in seconds")
    mutation: Seconds = setting(60.0, "for a mutation as a whole, in seconds")
    model: Seconds = setting(100.0, "until a model behind HTTP answers about a batch of samples, in seconds")
    large_change: Seconds = setting(
        3600.0, "for a mutation that selects `LABELGRAPH_LARGE_CHANGE` samples or more, in seconds"
    )
    image: Seconds = setting(
        10.0, "processor time to decode an image, in whole seconds; elapsed time may be four times as long"
    )
    lock: Seconds = setting(5.0, "until a database lock is granted, in seconds")
    connect: Seconds = setting(5.0, "until a database connection is open, in seconds")
    disk: Seconds = setting(20.0, "until a local disk answers, in seconds")
    socket_init: Seconds = setting(
        5.0, "until a WebSocket client has sent connection_init, or opened the stream it reserved, in seconds"
    )

    @property
    def shutdown(self) -> float:
        """A stopping server waits for what it has begun, and two seconds more."""
        return max(self.query, self.mutation) + 2


class S3(Section, alias_generator=_variables("LABELGRAPH_S3_")):
    """How this server reaches S3. With none of `endpoint`, `access_key` and `buckets` there is no S3."""

    endpoint: HttpUrl | None = setting(None, "URL of the S3 server; without it Amazon's of the region")
    public_endpoint: HttpUrl | None = setting(
        None, "URL of the same S3 server as browsers reach it, where that differs"
    )
    region: str = setting("us-east-1", "region of the buckets")
    access_key: str | None = setting(
        None, "access key id; without it the machine's own role, if `LABELGRAPH_S3_BUCKETS` names buckets", repr=False
    )
    secret_key: str | None = setting(None, "secret access key", repr=False)
    session_token: str | None = setting(None, "session token of temporary keys", repr=False)
    addressing: Annotated[Literal["auto", "path", "virtual"], LOWER_CASE] = setting(
        "auto", "`path` (host/bucket), `virtual` (bucket.host) or `auto`"
    )
    buckets: Annotated[tuple[str, ...], _separated_by(",")] = setting(
        (), "buckets that may contain datasets, separated by `,`; without it all that the keys can access"
    )
    links: Flag = setting(
        True,
        "browsers fetch images from S3, and scripts put files there, by presigned URLs; false: through this server",
    )
    list_by_key: Flag = setting(False, "list by the first version of ListObjects, for servers without the second")
    connections: PositiveInt = setting(32, "connections to S3 of one process")
    read: Seconds = setting(10.0, "until S3 sends the next bytes, in seconds")
    deadline: Seconds = setting(60.0, "for one operation of S3 with all its retries, in seconds")

    @property
    def is_configured(self) -> bool:
        return bool(self.endpoint or self.access_key or self.buckets)


class Settings(Section, alias_generator=_variables("LABELGRAPH_")):
    """The settings of one process; immutable, passed down from the composition root."""

    database_url: PostgresUrl | None = setting(
        None,
        "postgresql://… of a server ≥ 15; without it the server runs its own Postgres",
        validation_alias="DATABASE_URL",
        repr=False,
    )
    listen_url: PostgresUrl | None = setting(
        None,
        "direct postgresql://… for LISTEN, locks and migrations, where DATABASE_URL goes through PgBouncer in "
        "transaction mode",
        repr=False,
    )
    read_urls: Annotated[tuple[PostgresUrl, ...], _separated_by(" ")] = setting(
        (), "postgresql://… of standbys of DATABASE_URL that answer queries, separated by spaces", repr=False
    )
    read_lag: Seconds = setting(5.0, "how far a standby that answers queries may be behind, in seconds")
    pooled: Flag = setting(False, "true behind PgBouncer in transaction mode: no session state outlives a transaction")
    pool_size: PositiveInt = setting(10, "database connections for reading, and as many for writing, of one process")
    searches: PositiveInt = setting(
        4, "costly queries (that filter, count, compare or list much) of one process at once, half of them of one token"
    )
    large_change: PositiveInt = setting(
        100_000,
        "samples from which on a change has the time of a large one, `LABELGRAPH_TIMEOUT_LARGE_CHANGE`, and is a job",
    )
    pg_bin: Path | None = setting(None, "folder of the Postgres programs for the embedded server")
    data_dir: Annotated[Path, AfterValidator(_absolute)] = setting(
        CHECKOUT / ".data",
        "folder of the embedded Postgres, its owner's token, thumbnails and the demo; `.data` is that of the checkout",
        validation_alias="LABELGRAPH_DATA",
    )
    allowed_roots: Annotated[tuple[Root, ...], _separated_by(os.pathsep)] = setting(
        (), "folders that may contain local input paths, separated by `:`", validation_alias="LABELGRAPH_ALLOW_ROOT"
    )
    host: str = setting("127.0.0.1", "address to listen on")
    port: Port = setting(8000, "port to listen on; 0 takes a free one")
    public_url: HttpUrl | None = setting(
        None, "the URL clients use, where a proxy changes it; image URLs start with it"
    )
    hosts: Annotated[tuple[Host, ...], _separated_by(",")] = setting(
        (),
        "names by which clients reach this server, separated by `,`, besides those of this machine; `*` allows any",
    )
    proxies: str = setting("127.0.0.1", "proxies whose X-Forwarded-* headers are trusted, separated by `,`")
    allowed_origins: Annotated[tuple[Origin, ...], _separated_by(",")] = setting(
        (), "origins of web pages that may call the API, separated by `,`; `*` is all"
    )
    compression: Flag = setting(
        True, "compress answers of 1 KiB or more (zstd, gzip) for clients that take it; false where a proxy does"
    )
    trusted_documents: Annotated[Path, AfterValidator(_absolute)] | None = setting(
        None, "folder of documents that clients may name by an id: *.graphql, and manifests of persist steps"
    )
    trusted_only: Flag = setting(False, "execute only the trusted documents; GraphiQL then cannot read the schema")
    secret: str | None = setting(
        None, "signs URLs of images and uploads; without it one is generated and stored in the database", repr=False
    )
    url_lifetime: PositiveInt = setting(3600, "how long a signed URL works, of an image or for an upload, in seconds")
    thumbnail_cache_bytes: Count = setting(
        1024 * MIB,
        "disk space for cached thumbnails and for renditions of images that browsers cannot show, in bytes; the least "
        "recently used are deleted first, 0 caches none. While renditions are sent, their open files take at most as "
        "much in each process, or 256 MiB if that is more, also with 0; beyond that they are refused with 503",
    )
    processes: PositiveInt = setting(
        1, "processes of `serve` that accept connections on one socket; several have a worker with them"
    )
    worker: Flag = setting(True, "run a worker inside `serve`")
    jobs: PositiveInt = setting(
        2,
        "jobs that one worker runs at once; exports and dry runs of syncs, which the scope `read` may start, come "
        "after all others until they are late, and leave one of several slots free; with `1` others wait for the one "
        "that runs",
    )
    model_folders: Annotated[tuple[Root, ...], _separated_by(os.pathsep)] = setting(
        (),
        "folders with ONNX models that may suggest annotations, separated by `:`",
        validation_alias="LABELGRAPH_MODELS",
    )
    model_hosts: Annotated[tuple[ModelAt, ...], _separated_by(",")] = setting(
        (),
        "hosts with their ports at which models may suggest annotations, separated by `,`: `localhost:9090`, or with "
        "credentials `user:password@models.example.com:443`",
        repr=False,
    )
    model_base_url: HttpUrl | None = setting(
        None, "the URL of this server as those models reach it, for images; without it the one that clients use"
    )
    removal_percent: Percent = setting(
        50, "percentage of a dataset's samples that a sync may remove without `removeMany`"
    )
    removal_samples: Count = setting(20, "a sync may remove all samples of a dataset with at most this many")
    metrics_port: Port | None = setting(
        None,
        "port at which Prometheus reads the metrics of this process, at /metrics, and one more for each further "
        "process of `--processes`, the worker last; 0 takes a free one",
    )
    metrics_host: str = setting(
        "127.0.0.1", "address of that port; one that other machines reach needs LABELGRAPH_METRICS_TOKEN"
    )
    metrics_token: str | None = setting(None, "bearer token with which the metrics are read", repr=False)
    trace_share: Share = setting(
        0.0,
        "share of the requests of which OpenTelemetry sends a trace, from 0 to 1, where no `traceparent` decides; more "
        "than 0 needs `requirements-tracing.txt`",
    )
    log_level: Annotated[Literal["critical", "error", "warning", "info", "debug"], LOWER_CASE] = setting(
        "info", "critical, error, warning, info or debug"
    )
    s3: S3 = Field(default_factory=S3)
    limits: Limits = Field(default_factory=Limits)
    timeouts: Timeouts = Field(default_factory=Timeouts)

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if self.trusted_only and self.trusted_documents is None:
            raise ValueError("LABELGRAPH_TRUSTED_ONLY needs LABELGRAPH_TRUSTED_DOCUMENTS: the documents to execute.")
        if self.pooled and self.listen_url is None:
            raise ValueError(
                "LABELGRAPH_POOLED needs LABELGRAPH_LISTEN_URL: locks and notices must not go through a pooler."
            )
        if self.metrics_port is not None and self.metrics_token is None and not _is_loopback(self.metrics_host):
            raise ValueError(
                "LABELGRAPH_METRICS_HOST needs LABELGRAPH_METRICS_TOKEN: others could read the metrics at this address."
            )
        if self.metrics_port and self.processes > 1 and self.metrics_port + self.processes > MAX_PORT:
            raise ValueError(
                f"LABELGRAPH_METRICS_PORT must be at most {MAX_PORT - self.processes} with {self.processes} processes, "
                f"each of which has a port of its own, and is {self.metrics_port}."
            )
        return self

    @classmethod
    def from_environment(cls, **arguments: Any) -> Self:
        """Defaults, overlaid by the environment, overlaid by the arguments (the command line's). Raises BadSetting."""
        try:
            return cls(limits=Limits(), timeouts=Timeouts(), s3=S3(), **arguments)
        except ValidationError as error:
            raise BadSetting(_sentence(error)) from None

    @property
    def embedded(self) -> bool:
        """Whether this process runs (or joins) its own Postgres."""
        return self.database_url is None


SECTIONS: Final = (Settings, S3, Limits, Timeouts)


def _sentence(error: ValidationError) -> str:
    """What is wrong with the first variable that is not valid, without the text of a secret."""
    first = error.errors()[0]
    problem = first["msg"].removeprefix("Value error, ").partition(", unable")[0]
    problem = problem.replace("Input should", "it should").replace("a valid boolean", "true or false")
    if not first["loc"]:
        return problem
    variable = str(first["loc"][0])
    fields = [field for section in SECTIONS for field in section.model_fields.values()]
    is_secret = variable in {field.validation_alias for field in fields if not field.repr}
    value = "" if is_secret else f"={first['input']}"
    return f"{variable}{value} cannot be understood: {problem}."
