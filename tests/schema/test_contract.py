"""The names promised to clients mean what the contract says; what is still to come is listed, and the list shrinks."""

from collections.abc import Iterator
from pathlib import Path

from graphql import parse, print_ast
from graphql.language import ast

from schema import sdl

OWN = Path(__file__).parent
MISSING = OWN / "contract_missing.txt"


def promises(text: str) -> dict[str, str]:
    """Every name of a schema document as `Type`, `Type.field`, `Type.field(argument)`, and its type."""
    return {name: meaning for node in parse(text).definitions for name, meaning in _of(node)}


def _of(node: ast.DefinitionNode) -> Iterator[tuple[str, str]]:
    if not isinstance(node, ast.TypeDefinitionNode):
        return
    name = node.name.value
    directives = {d.name.value for d in node.directives or ()} & {"oneOf"}
    yield name, f"{node.kind} {sorted(directives)}"
    for interface in getattr(node, "interfaces", None) or ():
        yield f"{name} implements {interface.name.value}", "yes"
    for member in getattr(node, "types", None) or ():
        yield f"{name} = {member.name.value}", "yes"
    for value in getattr(node, "values", None) or ():
        yield f"{name}.{value.name.value}", "value"
    for field in getattr(node, "fields", None) or ():
        yield f"{name}.{field.name.value}", _slot(field)
        for argument in getattr(field, "arguments", None) or ():
            yield f"{name}.{field.name.value}({argument.name.value})", _slot(argument)


def _slot(node: ast.FieldDefinitionNode | ast.InputValueDefinitionNode) -> str:
    default = getattr(node, "default_value", None)
    # A nullable argument or field without a default and one that defaults to null are the same to every client
    # but one that introspects; null has no meaning of its own there: it is the same, or refused.
    shown = "" if default is None or print_ast(default) == "null" else f" = {print_ast(default)}"
    return print_ast(node.type) + shown


PROMISED = promises(OWN.joinpath("contract.graphql").read_text())
OWN_SCHEMA = promises(sdl())


def test_every_name_that_exists_means_what_the_contract_says() -> None:
    others = {name: (OWN_SCHEMA[name], PROMISED[name]) for name in PROMISED.keys() & OWN_SCHEMA.keys()}
    assert {name: pair for name, pair in others.items() if pair[0] != pair[1]} == {}


def test_what_is_missing_is_exactly_what_is_listed() -> None:
    missing = sorted(PROMISED.keys() - OWN_SCHEMA.keys())
    assert missing == MISSING.read_text().splitlines(), f"take what exists now out of {MISSING.name}; add nothing to it"


def test_nothing_demands_more_from_a_client_than_the_contract() -> None:
    more = [
        name
        for name, meaning in OWN_SCHEMA.items()
        if "(" in name and name not in PROMISED and name.split("(")[0] in PROMISED and meaning.endswith("!")
    ]
    assert more == []
