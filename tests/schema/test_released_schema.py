"""What changed in the schema since the last release: `schema/released.graphql`.

What breaks the operations or the generated code of clients fails, unless CHANGELOG.md lists it. What they may notice
is printed. Neither is seen, and has to be read in the difference: another meaning under the same name, a limit, an
order, an error code, the text of a scalar, a description, and a deprecation that is added or removed.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from graphql import GraphQLSchema, build_schema, is_input_object_type, is_interface_type
from graphql.utilities.find_schema_changes import BreakingChangeType, DangerousChangeType, find_schema_changes

from schema import SNAPSHOT, sdl

RELEASED = SNAPSHOT.with_name("released.graphql").read_text()
[VERSION] = re.findall(r"\A# The schema of Labelgraph (\S+)\n", RELEASED)
CHANGELOG = (Path(__file__).parents[2] / "CHANGELOG.md").read_text()


def changes_between(old_sdl: str, new_sdl: str) -> tuple[list[str], list[str]]:
    """In sentences: those that break clients, and those that they may notice."""
    old, new = build_schema(old_sdl), build_schema(new_sdl)
    found = find_schema_changes(old, new)
    return (
        [each.description for each in found if isinstance(each.type, BreakingChangeType)] + list(made_one_of(old, new)),
        [each.description for each in found if isinstance(each.type, DangerousChangeType)] + list(added_to(old, new)),
    )


def made_one_of(old: GraphQLSchema, new: GraphQLSchema) -> Iterator[str]:
    for name, type_ in new.type_map.items():
        before = old.type_map.get(name)
        if is_input_object_type(type_) and is_input_object_type(before) and type_.is_one_of and not before.is_one_of:
            yield f"Input type {name} became @oneOf."


def added_to(old: GraphQLSchema, new: GraphQLSchema) -> Iterator[str]:
    """New types of an interface: a client that lists them all does not know them."""
    for name, interface in old.type_map.items():
        now = new.type_map.get(name)
        if is_interface_type(interface) and is_interface_type(now):
            known = {each.name for each in old.get_possible_types(interface)}
            for each in new.get_possible_types(now):
                if each.name not in known and each.name not in old.type_map:
                    yield f"{each.name} was added to the types of interface {name}."


def unlisted(breaking: list[str], changelog: str) -> list[str]:
    """The sentences that are not under "Breaking" in the section of the unreleased version, the first one."""
    section = re.split(r"^## ", changelog, flags=re.MULTILINE)[1]
    heading, *parts = re.split(r"^### ", section, flags=re.MULTILINE)
    listed: list[str] = []
    if heading.splitlines()[0].endswith(", unreleased"):
        listed = [
            line for part in parts if part.startswith("Breaking\n") for line in part.replace("`", "").splitlines()
        ]
    return [sentence for sentence in breaking if not any(line.startswith(f"- {sentence}") for line in listed)]


def test_what_breaks_clients_of_the_last_release_is_in_the_changelog(
    record_property: Callable[[str, object], None],
) -> None:
    breaking, dangerous = changes_between(RELEASED, sdl())
    for sentence in dangerous:
        record_property(f"Since {VERSION}, clients may notice", sentence)
    missing = "".join(f"\n- {sentence}" for sentence in unlisted(breaking, CHANGELOG))
    assert not missing, (
        f"These changes break clients of version {VERSION}. Undo them, or list each in CHANGELOG.md under "
        f"`### Breaking` of the unreleased version, in the same words:{missing}"
    )


def test_the_released_schema_is_that_of_the_last_release() -> None:
    sections = re.findall(r"^## (\S+), (.+)$", CHANGELOG, re.MULTILINE)
    released = [version for version, when in sections if when != "unreleased"]
    [last, *_] = released or [version for version, _ in sections]  # before the first release: of what will be it
    assert last == VERSION, "see `Releasing` in CONTRIBUTING.md"


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('  """Size of the file in bytes."""\n  size: Int!\n', "", "Field Sample.size was removed."),
        ("size: Int = 256", "pixels: Int = 256", "Argument Sample.thumbnailUrl(size:) was removed."),
        (
            "outputPath: String = null",
            "outputPath: String!",
            "Field CreateDatasetInput.outputPath changed type from String to String!.",
        ),
        (
            '  """Being labelled by a model."""\n  INFERENCE\n',
            "",
            "Enum value SampleUsage.INFERENCE was removed.",
        ),
        ("totalCount: Int!\n\n", "totalCount: Int\n\n", "Field Statistics.totalCount changed type from Int! to Int."),
        ("input TextFilter {", "input TextFilter @oneOf {", "Input type TextFilter became @oneOf."),
    ],
)
def test_a_breaking_change_is_named_unless_it_is_listed(old: str, new: str, sentence: str) -> None:
    assert old in RELEASED
    breaking, _ = changes_between(RELEASED, RELEASED.replace(old, new))
    assert sentence in breaking
    unreleased = "# Changelog\n\n## 9.0.0, unreleased\n\n### Other\n\n- Words.\n"
    listed = f"{unreleased}\n### Breaking\n\n- `{sentence[:-1]}`. Do this instead.\n\n## 8.0.0, 2030-01-01\n"
    assert unlisted([sentence], unreleased) == [sentence]
    assert unlisted([sentence, "Other."], listed) == ["Other."]
    assert unlisted([sentence], listed.replace(", unreleased", ", 2031-01-01")) == [sentence]
    assert unlisted([sentence], unreleased + "\n## 8.0.0, 2030-01-01\n\n### Breaking\n\n- " + sentence) == [sentence]


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("  INFERENCE\n", "  INFERENCE\n  OTHER\n", "Enum value SampleUsage.OTHER was added."),
        (
            "size: Int = 256",
            "size: Int = 256, crop: Boolean",
            "An optional argument Sample.thumbnailUrl(crop:) was added.",
        ),
        (
            "size: Int = 256",
            "size: Int = 512",
            "Sample.thumbnailUrl(size:) has changed defaultValue from 256 to 512.",
        ),
        (
            "type JobConnection",
            "type OtherEvent implements DatasetEvent { cursor: String! }\ntype JobConnection",
            "OtherEvent was added to the types of interface DatasetEvent.",
        ),
    ],
)
def test_what_clients_may_notice_breaks_nothing(old: str, new: str, sentence: str) -> None:
    assert old in RELEASED
    assert changes_between(RELEASED, RELEASED.replace(old, new)) == ([], [sentence])
