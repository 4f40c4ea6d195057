"""The parameters of a GraphQL request, from a JSON body, a query string or a socket's message.

Every refusal is a sentence and a status: nothing that a client sends reaches execution half understood.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import orjson

from schema.errors import BAD_REQUEST, BAD_USER_INPUT, refusal
from schema.execution.messages import Request

BOM = b"\xef\xbb\xbf"
KEY = re.compile(r"[\x21-\x7e]{1,255}")
SHA_256 = re.compile(r"(?:sha256:)?([0-9A-Fa-f]{64})")
MAX_ID = 256  # characters of a document's id
ONE_KIND = bytes.maketrans(b"{}", b"[]")
NO_STRUCTURE = bytes(set(range(256)) - set(b'[]{}"'))


@dataclass(frozen=True, slots=True)
class Parameters:
    """With `document_id` and without `query` the document is known already (`persisted_queries.py`)."""

    query: str | None
    operation_name: str | None = None
    variables: Mapping[str, Any] = field(default_factory=dict)
    extensions: Mapping[str, Any] = field(default_factory=dict)
    document_id: str | None = None


def from_body(body: bytes, depth: int) -> Parameters:
    """Raises Refused."""
    document = parse_json(body, depth)
    if isinstance(document, list):
        raise refusal("Batches are not supported: send one operation in each request.", BAD_REQUEST)
    return from_object(document)


def from_query_string(text: str, depth: int) -> Parameters:
    """GET: `variables` and `extensions` are JSON texts; an empty one counts as absent. Raises Refused."""
    try:
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=False, errors="strict", max_num_fields=16)
    except ValueError:
        raise refusal("The query string cannot be parsed.", BAD_REQUEST) from None
    if len({name for name, _ in pairs}) < len(pairs):
        raise refusal("A parameter is given twice.", BAD_REQUEST)
    values: dict[str, Any] = {name: value for name, value in pairs if value}
    for name in ("variables", "extensions"):
        if name in values:
            values[name] = parse_json(values[name].encode(), depth)
    return from_object(values)


def from_object(values: object) -> Parameters:
    """Null counts as absent. Raises Refused."""
    if not isinstance(values, dict):
        rule = 'The request must be a JSON object, {"query": …, "variables": …}'
        raise refusal(f"{rule}, and is {_kind(values)}.", BAD_REQUEST)
    variables, extensions = _map(values, "variables"), _map(values, "extensions")
    query, document_id = values.get("query"), _document_id(values, extensions)
    if document_id and query in (None, ""):
        query = None
    elif not isinstance(query, str) or not query:
        raise refusal(f"`query` must be a string with the GraphQL document, and is {_kind(query)}.", BAD_REQUEST)
    name = values.get("operationName")
    if name is not None and not isinstance(name, str):
        raise refusal(f"`operationName` must be a string, and is {_kind(name)}.", BAD_REQUEST)
    return Parameters(query, name or None, variables, extensions, document_id)


def normalized_id(text: str) -> str:
    """The id of a document; a SHA-256 in small letters, without the prefix `sha256:` that graphql-codegen writes."""
    found = SHA_256.fullmatch(text)
    return found[1].lower() if found else text


def idempotency_key(request: Request, header: str | None) -> tuple[str | None, bytes]:
    """From the header or else the request's extensions, with the hash that distinguishes the request from any other
    under the same key. Raises Refused."""
    key = header if header is not None else request.extensions.get("idempotencyKey")
    if key is None:
        return None, b""
    if not isinstance(key, str) or not KEY.fullmatch(key):
        raise refusal("An idempotency key must have 1 to 255 visible ASCII characters, and no others.", BAD_REQUEST)
    content = orjson.dumps(
        [request.document.source, request.document.name, request.variables],
        default=lambda file: file.fingerprint,
        option=orjson.OPT_SORT_KEYS | orjson.OPT_PASSTHROUGH_DATACLASS,
    )
    return key, hashlib.sha256(content).digest()


def parse_json(body: bytes, depth: int) -> Any:
    """Raises Refused. The nesting is checked before anything is built from it. A byte order mark is ignored."""
    body = body.removeprefix(BOM)
    if _is_deeper(body, depth):
        raise refusal(f"The JSON is nested deeper than {depth} levels.", BAD_REQUEST)
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise refusal("The body is not valid JSON in UTF-8.", BAD_REQUEST) from None
    if b"\\u0000" in body and _contains_nul(value):
        raise refusal("A text holds the character U+0000, which no text here may hold.", BAD_USER_INPUT)
    return value


def _is_deeper(body: bytes, depth: int) -> bool:
    if body.count(b"[") + body.count(b"{") <= depth:
        return False
    unescaped = body.replace(b"\\\\", b"").replace(b'\\"', b"") if b"\\" in body else body
    outside_of_strings = unescaped.translate(ONE_KIND, NO_STRUCTURE).split(b'"')[::2]
    brackets = b"".join(outside_of_strings)
    for _ in range(depth):  # each round removes the innermost level
        brackets = brackets.replace(b"[]", b"")
    return bool(brackets)


def _kind(value: object) -> str:
    """What a value is in JSON, for a message."""
    match value:
        case None:
            return "missing"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a string" if value else "empty"
        case dict():
            return "an object"
    return "a list"


def _document_id(values: Mapping[str, Any], extensions: Mapping[str, Any]) -> str | None:
    """From `documentId`, or Apollo's `persistedQuery`. Raises Refused."""
    match values.get("documentId"), extensions.get("persistedQuery"):
        case None, None:
            return None
        case (str(text), None) | (None, {"version": 1, "sha256Hash": str(text)}) if 0 < len(text) <= MAX_ID:
            return normalized_id(text)
    raise refusal(
        '`documentId`, or else `persistedQuery` as {"version": 1, "sha256Hash": …}, must be the id of a trusted '
        f"document or the SHA-256 of `query`, of at most {MAX_ID} characters.",
        BAD_REQUEST,
    )


def _map(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = values.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise refusal(f"`{name}` must be a JSON object, and is {_kind(value)}.", BAD_REQUEST)
    return value


def _contains_nul(value: object) -> bool:
    """Postgres keeps no U+0000 in text. The depth of the value is bounded already."""
    match value:
        case str():
            return "\0" in value
        case dict():
            return any("\0" in key or _contains_nul(item) for key, item in value.items())
        case list():
            return any(_contains_nul(item) for item in value)
    return False
