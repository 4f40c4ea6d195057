"""GraphQL's own execution, in which everything below a reference is compiled to SQL and read as JSON text."""

from collections.abc import Hashable
from typing import Any

from graphql import FieldNode, GraphQLObjectType, GraphQLOutputType, GraphQLResolveInfo, is_non_null_type
from graphql.execution.collect_fields import FieldDetails
from graphql.execution.values import VariableValues
from graphql.pyutils import Path
from orjson import Fragment
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from db import queries
from db.errors import NotFound, Unavailable
from db.queries import ArgumentError, Inputs, Plan
from schema.context import Context
from schema.execution.documents import Document
from schema.execution.plans import Plans
from schema.execution.translation import Translator, placeholders, shape, variables_in
from schema.references import Reference, References

# The payload of a mutation is read after its commit: that it cannot be read undoes nothing.
COMMITTED = (
    "It took effect, but what it changed cannot be read now: read it in a moment, or send the request again with its "
    "idempotency key."
)


class Root:
    """Stands for a root field of Query, which its plan answers."""


class Executor(StrawberryGraphQLCoreExecutionContext):
    """Compiles and reads what is below a reference; puts the JSON text into the answer as it is."""

    def __init__(self, *args: Any, prepared: Document, plans: Plans, version: str, **more: Any) -> None:
        super().__init__(*args, **more)
        self.prepared = prepared
        self.plans = plans
        self.version = version

    def complete_value(
        self,
        return_type: GraphQLOutputType,
        field_details_list: list[FieldDetails],
        info: GraphQLResolveInfo[Any],
        path: Path,
        result: Any,
        position_context: Any,
    ) -> Any:
        if isinstance(result, Fragment):
            return result
        if isinstance(result, Root | Reference | References):
            must_exist = is_non_null_type(return_type)
            return self._read(result, field_details_list, info.parent_type, str(path.key), must_exist=must_exist)
        return super().complete_value(return_type, field_details_list, info, path, result, position_context)

    async def _read(
        self,
        result: Root | Reference | References,
        details: list[FieldDetails],
        parent: GraphQLObjectType,
        alias: str,
        *,
        must_exist: bool,
    ) -> Fragment | None:
        context: Context = self.context_value
        nodes = tuple(each.node for each in details)
        confined, page = is_confined(context), self.prepared.limits.page

        def compiled() -> Plan:
            used = frozenset[str]().union(*(variables_in(self.prepared, node) for node in nodes))
            values = placeholders(VariableValues(self.variable_values.sources, self._variables(used)))
            field = Translator(self.schema, self.prepared, values).field(parent, alias, details)
            if isinstance(result, Root):
                return queries.compile_query([field], confined=confined, page=page)
            several, fields = isinstance(result, References), field.fields[result.type]
            return queries.compile_reference(result.type, fields, several=several, confined=confined, page=page)

        variables = dict(self.variable_values.coerced)
        if not isinstance(result, Root):
            variables[queries.REFERENCE] = result.number if isinstance(result, Reference) else result.numbers
        try:
            plan = await self.plans.get(self._key(result, nodes), compiled)
            json = await queries.read(context.database, plan, inputs(self.version, context, variables))
        except ArgumentError as error:
            raise error.cause from None
        except Unavailable as error:
            if self.prepared.is_mutation:
                raise Unavailable(COMMITTED) from error
            raise
        if isinstance(result, Root) and json is not None:
            json = json[json.index(":") + 1 : -1]  # the only value: its key is a name, so the first colon ends it
        if json is not None and json != "null":
            return Fragment(json)
        if must_exist:
            raise NotFound("It was deleted in the meantime.")
        return None

    def _key(self, result: Root | Reference | References, nodes: tuple[FieldNode, ...]) -> Hashable:
        """What the plan depends on. A mutation's own arguments, new in every request, do not belong to it."""
        position = tuple(id(node) for node in nodes)  # as old as the document, which is part of the key
        if position not in self.prepared.plans:
            below = [node if isinstance(result, Root) else node.selection_set for node in nodes]
            used = (variables_in(self.prepared, each) for each in below if each)
            self.prepared.plans[position] = frozenset[str]().union(*used)
        kind = (type(result), getattr(result, "type", None))
        variables = self._variables(self.prepared.plans[position])
        return (self.prepared, position, kind, is_confined(self.context_value), shape(variables))

    def _variables(self, names: frozenset[str]) -> dict[str, Any]:
        """The variables of these names. Others may be huge."""
        return {name: value for name, value in self.variable_values.coerced.items() if name in names}


def inputs(version: str, context: Context, variables: dict[str, Any]) -> Inputs:
    return Inputs(variables, context.identity, context.links, context.limits, version)


def is_confined(context: Context) -> bool:
    """Whether the token may see some datasets only."""
    return context.identity.dataset_ids is not None
