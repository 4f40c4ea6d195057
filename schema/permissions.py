"""The scope that an operation needs. Checked before anything runs: a mutation of several fields is refused as a whole.

For a token that is confined to some datasets, others are not forbidden but do not exist: `db/` sees to that.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from graphql import FieldNode, FragmentSpreadNode, GraphQLError, SelectionSetNode

from db.identity.tokens import Identity, Scope
from schema.errors import FORBIDDEN, Refused, with_code
from schema.execution.document_limits import Fragments
from schema.execution.documents import Document

LABELLING: Final = frozenset({"labelSamples", "replaceSampleLabel", "annotateSamples", "createLabels", "updateLabel"})
SCOPE_OF_MUTATION: Final[Mapping[str, Scope]] = dict.fromkeys(LABELLING, Scope.LABEL)


def authorize(document: Document, identity: Identity) -> None:
    """Raises Refused (FORBIDDEN), naming every root field that the token's scope does not reach."""
    if identity.may(Scope.MANAGE if document.is_mutation else Scope.READ):
        return
    own, errors = identity.scope.word, []
    for node in _root_fields(document.operation.selection_set, document.fragments):
        name = node.name.value
        needed = Scope.READ
        if document.is_mutation and not name.startswith("__"):
            needed = SCOPE_OF_MUTATION.get(name, Scope.MANAGE)
        if not identity.may(needed):
            message = f"{name} needs a token with the scope {needed.word}; this one has {own}."
            error = GraphQLError(message, nodes=node, path=[node.alias.value if node.alias else name])
            errors.append(with_code(error, FORBIDDEN, needed=needed.word, held=own))
    if errors:
        raise Refused(errors)


def _root_fields(selected: SelectionSetNode, fragments: Fragments) -> Iterator[FieldNode]:
    for node in selected.selections:
        match node:
            case FieldNode():
                yield node
            case FragmentSpreadNode():
                yield from _root_fields(fragments[node.name.value].selection_set, fragments)
            case _:
                yield from _root_fields(node.selection_set, fragments)  # type: ignore[attr-defined]
