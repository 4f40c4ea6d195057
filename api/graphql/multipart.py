"""Files with a GraphQL request: the GraphQL multipart request specification, read as it streams.

`operations` comes first, then `map`, then the files. What passes a limit is refused while it is still coming; of a file
that is too large for itself nothing more is kept. A web page of another origin can make a browser send such a form
without asking us, unless it carries a header that pages may not set freely: so one is required.
"""

import re
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final
from urllib.parse import unquote, unquote_to_bytes

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, MultipartState, parse_options_header

from api.graphql import parameters
from api.graphql.parameters import Parameters
from api.settings import Limits
from db.ingest.uploads import Incoming
from schema.errors import BAD_REQUEST, Refused, refusal

MULTIPART: Final = "multipart/form-data"
UPLOAD_TOO_LARGE: Final = "UPLOAD_TOO_LARGE"
PREFLIGHT: Final = (
    "graphql-require-preflight",
    "apollo-require-preflight",
    "x-apollo-operation-name",
    "x-requested-with",
    "idempotency-key",
)
MAX_FILES: Final = 100
MAX_MAP_BYTES: Final = 64 * 1024
PARAMETER: Final = re.compile(r';\s*([^\s=;"]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^;]*)')
EXTENDED: Final = re.compile(
    r"(utf-8|iso-8859-1)'[A-Za-z0-9-]*'((?:[A-Za-z0-9!#$&+.^_`|~-]|%[0-9A-Fa-f]{2})+)", re.IGNORECASE
)
MAX_FRAMING: Final = 256 * 1024  # bytes of headers and boundaries that a form may have in addition to its contents


def check_preflight(headers: Mapping[str, str]) -> None:
    """Raises Refused."""
    if not any(name in headers for name in PREFLIGHT):
        raise refusal(
            "A multipart request carries the header `GraphQL-Require-Preflight: true`, so that no other web page can "
            "make a browser send one.",
            BAD_REQUEST,
        )


def max_bytes(limits: Limits) -> int:
    """Of a body as a whole; its files are counted by themselves."""
    return limits.upload_request + limits.body + MAX_MAP_BYTES + MAX_FRAMING


def too_large(limits: Limits) -> Refused:
    limit = limits.upload_request
    message = f"The files of one request have at most {limit} bytes together. Send them in several requests."
    return refusal(message, UPLOAD_TOO_LARGE, limit=limit)


async def read(headers: Mapping[str, str], body: AsyncIterator[bytes], limits: Limits) -> Parameters:
    """The parameters, with the files at the paths in `variables` that the map names. Raises Refused."""
    _, options = parse_options_header(headers.get("content-type"))
    boundary = options.get(b"boundary", b"")
    if not 1 <= len(boundary) <= 70:
        raise _bad("Content-Type names no boundary between the parts of the form.")
    # aiohttp percent-encodes the names of files, as RFC 7578 allows, and so does the stock GraphQL client of Python.
    # Browsers, curl and the others do not: in theirs a `%20` is what the file is called.
    form = Form(limits, encoded="aiohttp/" in headers.get("user-agent", ""))
    parser = MultipartParser(boundary, form.callbacks())  # type: ignore[arg-type]
    try:
        async for chunk in body:
            parser.write(chunk)
        parser.finalize()
    except FormParserError:
        raise _bad("The body is not a well-formed multipart form.") from None
    if parser.state != MultipartState.END:
        raise _bad("The form is incomplete.")
    return form.parameters()


@dataclass(slots=True)
class Part:
    file_name: str | None
    max_bytes: int  # that are kept
    data: bytearray = field(default_factory=bytearray)
    size: int = 0


@dataclass(slots=True)
class Form:
    """A form on its way in."""

    limits: Limits
    encoded: bool = False  # whether file names are percent-encoded
    parts: dict[str, Part] = field(default_factory=dict)
    files: int = 0  # bytes of files so far
    _header: bytearray = field(default_factory=bytearray)
    _value: bytearray = field(default_factory=bytearray)
    _disposition: str = ""

    def callbacks(self) -> dict[str, Callable[..., None]]:
        return {
            "on_header_field": lambda data, start, end: self._header.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
            "on_header_end": self._end_header,
            "on_headers_finished": self._begin_part,
            "on_part_data": self._add_data,
        }

    def parameters(self) -> Parameters:
        names = list(self.parts)
        if names[:2] != ["operations", "map"]:
            raise _bad("The form's first parts are `operations` and `map`, in this order.")
        operations = bytes(self.parts["operations"].data)
        params = parameters.from_body(operations, self.limits.json_depth)
        paths_by_name = parameters.parse_json(bytes(self.parts["map"].data), 4)
        if not isinstance(paths_by_name, dict) or paths_by_name.keys() != set(names[2:]):
            raise _bad("`map` is a JSON object with the paths in `variables` of each file of the form.")
        variables: dict[str, Any] = dict(params.variables)
        for name, paths in paths_by_name.items():
            if not isinstance(paths, list) or not paths:
                raise _bad(f"`map` names no path for the file `{name[:40]}`.")
            part = self.parts[name]
            if part.file_name is None:
                raise _bad(f"The part `{name[:40]}` is not a file: it has no file name.")
            file = Incoming(part.file_name, bytes(part.data), part.size)
            for path in paths:
                _insert(variables, path, file)
        return replace(params, variables=variables)

    def _end_header(self) -> None:
        if bytes(self._header).lower() == b"content-disposition":
            self._disposition = bytes(self._value).decode("latin-1")
        self._header.clear()
        self._value.clear()

    def _begin_part(self) -> None:
        disposition, self._disposition = self._disposition, ""
        _, options = parse_options_header(disposition)
        # browsers send names in UTF-8; `parse_options_header` takes Latin-1, and returns it
        texts = {key: value.decode("utf-8", "replace") for key, value in options.items()}
        name, file_name = texts.get(b"name"), texts.get(b"filename")
        if file_name is not None and self.encoded:
            file_name = unquote(file_name)
        file_name = _extended_file_name(disposition) or file_name
        if not name or name in self.parts:
            raise _bad("Each part of the form has a name of its own.")
        if len(self.parts) >= MAX_FILES + 2:
            raise _bad(f"At most {MAX_FILES} files are accepted in one request.")
        max_bytes = {0: self.limits.body, 1: MAX_MAP_BYTES}.get(len(self.parts), self.limits.upload_file)
        self.parts[name] = Part(file_name, max_bytes)

    def _add_data(self, data: bytes, start: int, end: int) -> None:
        name, part = next(reversed(self.parts.items()))
        part.size += end - start
        part.data += data[start : min(end, start + max(part.max_bytes - len(part.data), 0))]
        if len(self.parts) > 2:
            self.files += end - start
            if self.files > self.limits.upload_request:
                raise too_large(self.limits)
        elif part.size > part.max_bytes:
            raise _bad(f"`{name[:40]}` has more than {part.max_bytes} bytes.")


def _insert(variables: dict[str, Any], path: object, file: Incoming) -> None:
    """Replace the null in `variables` to which the path leads."""
    first, *steps = path.split(".") if isinstance(path, str) else [""]
    if first != "variables" or not steps:
        raise _bad("A path in `map` begins with `variables.`.")
    container: Any = variables
    for step in steps[:-1]:
        key = _key(container, step)
        container = None if key is None else container[key]
    key = _key(container, steps[-1])
    if key is None or container[key] is not None:
        raise _bad("`map` names a path in `variables` that does not exist, or is not null.")
    container[key] = file


def _key(container: Any, step: str) -> str | int | None:
    """The key or index that a step of a path means, if the container has it."""
    match container:
        case dict() if step in container:
            return step
        case list() if step.isascii() and step.isdecimal() and len(step) < 6 and int(step) < len(container):
            return int(step)
    return None


def _extended_file_name(disposition: str) -> str | None:
    """The value of `filename*` (RFC 8187), which goes before `filename`; without it None. Forms should not have it, but
    some clients send nothing else for names beyond ASCII."""
    values = {key.lower(): value.strip() for key, value in PARAMETER.findall(disposition)}
    value = values.get("filename*")
    if value is None:
        return None
    match = EXTENDED.fullmatch(value)
    if match is None:
        raise _bad("`filename*` of a file is not valid: write it as UTF-8'' and the percent-encoded name.")
    name = unquote_to_bytes(match[2])
    return name.decode("utf-8" if match[1].lower() == "utf-8" else "latin-1", "replace")


def _bad(message: str) -> Exception:
    return refusal(message, BAD_REQUEST)
