"""The scope that each mutation needs. One that the token's scope does not reach is not resolved: it is null, with its
error, and the others of the same request are carried out.

For a token that is confined to some datasets, others are not forbidden but do not exist: `db/` sees to that.
"""

from collections.abc import Mapping
from typing import Any, Final

from graphql import BooleanValueNode, FieldNode, GraphQLError, ObjectValueNode, ValueNode, VariableNode

from db.identity.tokens import Identity, Scope
from schema.errors import FORBIDDEN, with_code
from schema.execution.documents import Document

LABELLING: Final = frozenset(
    {"labelSamples", "replaceSampleLabel", "updateSamples", "annotateSamples", "createLabels", "updateLabel"}
    | {"suggestAnnotations", "decideSuggestions", "putEmbeddings"}
    | {"undoChange"}  # of one's own labelling: `db.history.undo` sees to that
)
READING: Final = frozenset(
    {"exportDataset", "cancelJob"}
)  # to cancel one's own export or dry run: `db.ingest.job_requests` sees to it
WITH_DRY_RUN: Final = frozenset({"renameLabel", "deleteLabels", "deleteSamples", "syncDataset", "decideSuggestions"})


def forbidden_fields(document: Document, identity: Identity, variables: Mapping[str, Any]) -> dict[str, GraphQLError]:
    """The root fields that the token's scope does not reach, by their names in the answer, each with its error."""
    errors: dict[str, GraphQLError] = {}
    if identity.may(Scope.MANAGE if document.is_mutation else Scope.READ):
        return errors
    for node in document.root_fields:
        name = node.name.value
        needed = Scope.READ
        if document.is_mutation and not name.startswith("__"):
            needed = Scope.READ if name in READING else Scope.LABEL if name in LABELLING else Scope.MANAGE
            if name in WITH_DRY_RUN and is_dry_run(document, node, variables):
                needed = Scope.READ
        if not identity.may(needed):
            key = node.alias.value if node.alias else name
            message = f"{name} needs a token with the scope {needed.word}; this one has {identity.scope.word}."
            error = GraphQLError(message, nodes=node, path=[key])
            errors[key] = with_code(error, FORBIDDEN, needed=needed.name, held=identity.scope.name)
    return errors


def is_dry_run(document: Document, node: FieldNode, variables: Mapping[str, Any]) -> bool:
    """Whether the field's input, once it is coerced, has `dryRun: true`. Each alias has an input of its own. A value
    that coercion refuses is none, nor is null, or a variable that is absent without a default."""
    defaults = {each.variable.name.value: each.default_value for each in document.operation.variable_definitions or ()}

    def value_of(value: ValueNode | None) -> Any:
        """The value in the variables as sent, or a node."""
        if not isinstance(value, VariableNode):
            return value
        name = value.name.value
        return variables[name] if name in variables else defaults.get(name)

    given = next((value_of(each.value) for each in node.arguments or () if each.name.value == "input"), None)
    if isinstance(given, ObjectValueNode):
        fields = (value_of(each.value) for each in given.fields if each.name.value == "dryRun")
        given = {"dryRun": next(fields, None)}
    if not isinstance(given, Mapping):
        return False
    flag = given.get("dryRun")
    return flag is True or (isinstance(flag, BooleanValueNode) and flag.value)
