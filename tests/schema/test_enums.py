"""Every enum value that an answer may contain is one that the code can return, since clients handle them all."""

import re
from collections.abc import Iterator

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLNamedType,
    GraphQLSchema,
    GraphQLType,
    build_schema,
    get_named_type,
    is_input_object_type,
    is_interface_type,
    is_object_type,
)

from schema import sdl
from tests.conftest import ROOT

# Where the words of an enum that no client sends are written; FORMS says how, where not simply in quotes.
WRITTEN = {
    "AutoLabelModelKind": ("db/auto_labelling/models.py",),
    "AnnotationOrigin": (
        *("db/labelling/annotations.py", "db/labelling/suggestions/*.sql", "db/ingest/policy.py"),
        "db/ingest/uploads/*.py",
    ),
    "ChangeKind": ("db/postgres/models/datasets.py",),
    "ErrorCode": ("db/**/*.py", "schema/**/*.py", "api/**/*.py"),
    "ImportNoticeKind": ("db/ingest/**/*.py",),
    "IgnoredReason": ("db/ingest/sync/*.py", "db/ingest/sync/*.sql", "db/storage/*.py"),
    "JobNeed": ("db/queries/types/auto_label.py",),
    "JobStatus": ("db/jobs/*.py",),
    "ServerFeature": ("db/queries/roots.py",),
    "SyncEffect": ("db/ingest/**/*.py",),
    "SampleState": ("db/postgres/schema.sql",),
    "TokenScope": ("db/identity/tokens.py",),
    "VersionStatus": ("db/history/versions.sql",),
}
QUOTED = r"""['"]{word}['"]"""
FORMS = {
    "TokenScope": r"\b{word} = [0-9]",
    "AnnotationOrigin": r"""(origin: str \| None = |cls\(|Policy\(|now\(\), )['"]{word}['"]""",
    "ErrorCode": r'(code(: str)?|[A-Z_]+(: Final)?) ?= ?"{word}"',
}


def of_types(schema: GraphQLSchema, *, sent: bool) -> set[str]:
    """The names of the types that clients are answered with, or that they send, but for what they search by."""
    return {get_named_type(each).name for kind in schema.type_map.values() for each in _slots(kind, sent)}


def _slots(kind: GraphQLNamedType, sent: bool) -> Iterator[GraphQLType]:
    if is_input_object_type(kind) and sent and not kind.name.endswith("Filter"):
        yield from (field.type for field in kind.fields.values())
    if is_object_type(kind) or is_interface_type(kind):
        for field in kind.fields.values():
            yield from (argument.type for argument in field.args.values()) if sent else (field.type,)


SCHEMA = build_schema(sdl())
ANSWERED = sorted(
    name
    for name in of_types(SCHEMA, sent=False) - of_types(SCHEMA, sent=True)
    if isinstance(SCHEMA.type_map[name], GraphQLEnumType) and not name.startswith("__")
)


def test_every_enum_that_no_client_sends_is_looked_at() -> None:
    assert sorted(WRITTEN) == ANSWERED


@pytest.mark.parametrize("name", ANSWERED)
def test_every_word_of_an_answer_can_be_given(name: str) -> None:
    files = [path for pattern in WRITTEN[name] for path in ROOT.glob(pattern) if not path.name.endswith("enums.py")]
    text = "\n".join(path.read_text() for path in sorted(files))
    kind = SCHEMA.type_map[name]
    assert isinstance(kind, GraphQLEnumType)
    written = FORMS.get(name, QUOTED)
    assert [word for word in kind.values if not re.search(written.format(word=word), text)] == []
