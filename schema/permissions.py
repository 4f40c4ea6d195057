"""The scope that an operation needs. Checked before anything runs: a mutation of several fields is refused as a whole.

For a token that is confined to some datasets, others are not forbidden but do not exist: `db/` sees to that.
"""

from typing import Final

from graphql import GraphQLError

from db.identity.tokens import Identity, Scope
from schema.errors import FORBIDDEN, Refused, with_code
from schema.execution.documents import Document

LABELLING: Final = frozenset(
    {"labelSamples", "replaceSampleLabel", "updateSamples", "annotateSamples", "createLabels", "updateLabel"}
)


def authorize(document: Document, identity: Identity) -> None:
    """Raises Refused (FORBIDDEN), naming every root field that the token's scope does not reach."""
    if identity.may(Scope.MANAGE if document.is_mutation else Scope.READ):
        return
    own, errors = identity.scope.word, []
    for node in document.root_fields:
        name = node.name.value
        needed = Scope.READ
        if document.is_mutation and not name.startswith("__"):
            needed = Scope.LABEL if name in LABELLING else Scope.MANAGE
        if not identity.may(needed):
            message = f"{name} needs a token with the scope {needed.word}; this one has {own}."
            error = GraphQLError(message, nodes=node, path=[node.alias.value if node.alias else name])
            errors.append(with_code(error, FORBIDDEN, needed=needed.word, held=own))
    if errors:
        raise Refused(errors)
