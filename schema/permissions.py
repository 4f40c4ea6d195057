"""Which scope an operation needs. Looked at before anything runs: a mutation of several fields is refused as a whole.

What a token confined to some datasets may not see is not refused but does not exist; `db/` sees to that.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from graphql import FieldNode, FragmentSpreadNode, GraphQLError, SelectionSetNode

from db.identity.tokens import Identity, Scope
from schema.errors import FORBIDDEN, Refused, with_code
from schema.execution.document_limits import Fragments
from schema.execution.documents import Document

LABELLING: Final = frozenset({"labelSamples", "replaceSampleLabel", "annotateSamples", "createLabels", "updateLabel"})
NEEDED_BY_MUTATION: Final[Mapping[str, Scope]] = dict.fromkeys(LABELLING, Scope.LABEL)


def authorize(document: Document, identity: Identity) -> None:
    """Raises Refused (FORBIDDEN), naming every root field that the token's scope does not reach."""
    if identity.may(Scope.MANAGE if document.is_mutation else Scope.READ):
        return
    refused = [
        _forbidden(node, needed, identity.scope)
        for node in _root_fields(document.operation.selection_set, document.fragments)
        if not identity.may(needed := _needed(document, node))
    ]
    if refused:
        raise Refused(refused)


def _needed(document: Document, node: FieldNode) -> Scope:
    if not document.is_mutation or node.name.value.startswith("__"):
        return Scope.READ
    return NEEDED_BY_MUTATION.get(node.name.value, Scope.MANAGE)


def _forbidden(node: FieldNode, needed: Scope, held: Scope) -> GraphQLError:
    message = f"{node.name.value} needs a token with the scope {needed.word}; this one has {held.word}."
    error = GraphQLError(message, nodes=node, path=[node.alias.value if node.alias else node.name.value])
    return with_code(error, FORBIDDEN, needed=needed.word, held=held.word)


def _root_fields(selected: SelectionSetNode, fragments: Fragments) -> Iterator[FieldNode]:
    for node in selected.selections:
        match node:
            case FieldNode():
                yield node
            case FragmentSpreadNode():
                yield from _root_fields(fragments[node.name.value].selection_set, fragments)
            case _:
                yield from _root_fields(node.selection_set, fragments)  # type: ignore[attr-defined]
