"""Under which names operations are counted: never more than a few hundred, whatever clients send."""

import pytest

from api.observation.names import ANONYMOUS, MAX_LENGTH, MAX_NAMES, OTHER, SHARE, OperationNames


def test_the_names_of_operations_are_their_labels() -> None:
    names = OperationNames()
    assert [names.label(name, 1) for name in ("Page", "Label", "Page", None)] == ["Page", "Label", "Page", ANONYMOUS]


def test_one_token_adds_a_share_of_the_names_and_all_tokens_no_more_than_all() -> None:
    names = OperationNames()
    labels = {names.label(f"N{token}_{number}", token) for token in range(20) for number in range(MAX_NAMES)}
    assert len(labels) == MAX_NAMES + 1
    assert OTHER in labels
    of_first = [label for label in labels if label.startswith("N0_")]
    assert len(of_first) == MAX_NAMES // SHARE


def test_what_one_token_has_used_up_leaves_room_for_others() -> None:
    names = OperationNames()
    for number in range(10 * MAX_NAMES):
        names.label(f"Flood{number}", 1)
    assert names.label("Page", 2) == "Page"
    assert names.label("Page", 1) == "Page"
    assert names.label("Other", 1) == OTHER


def test_a_long_name_is_none() -> None:
    names = OperationNames()
    assert names.label("a" * MAX_LENGTH, 1) == "a" * MAX_LENGTH
    assert names.label("a" * (MAX_LENGTH + 1), 1) == OTHER


@pytest.mark.parametrize(
    "document", ["query Page { hello }", "fragment F on Query { hello } query Page($a: Int) { ...F }"]
)
def test_those_of_trusted_documents_are_known_from_the_start(document: str) -> None:
    names = OperationNames.of([document, "mutation Label { count }\nsubscription Count { counter(to: 1) }"])
    for number in range(MAX_NAMES):
        names.label(f"Flood{number}", number)
    assert [names.label(name, 1) for name in ("Page", "Label", "Count", "F")] == ["Page", "Label", "Count", OTHER]
