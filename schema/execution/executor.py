"""GraphQL's own execution, in which everything below a reference is compiled to SQL and read as JSON text."""

import asyncio
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from graphql import GraphQLError, GraphQLObjectType, GraphQLOutputType, GraphQLResolveInfo, is_non_null_type
from graphql.execution.collect_fields import FieldDetails
from graphql.execution.values import VariableValues
from graphql.pyutils import Path
from orjson import Fragment
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from db import queries
from db.errors import NotFound, Unavailable
from db.postgres.outages import explain_to_client
from db.queries import ArgumentError, Inputs, Plan
from schema.context import Context
from schema.execution.documents import Document
from schema.execution.plans import Plans
from schema.execution.translation import Translator, placeholders, shape, variables_in
from schema.references import Reference

# The payload of a mutation is read after its commit: that it cannot be read undoes nothing.
COMMITTED = (
    "It took effect, but what it changed cannot be read now: read it in a moment, or send the request again with its "
    "idempotency key."
)
DELETED: Final = "It was deleted in the meantime."
ROOT = Reference("Query", ())  # a root field of Query


class Executor(StrawberryGraphQLCoreExecutionContext):
    """Compiles and reads what is below a reference; puts the JSON text into the answer as it is."""

    def __init__(
        self,
        *args: Any,
        prepared: Document,
        plans: Plans,
        version: str,
        forbidden: Mapping[str, GraphQLError],
        **more: Any,
    ) -> None:
        super().__init__(*args, **more)
        self.prepared = prepared
        self.plans = plans
        self.version = version
        self.forbidden = forbidden
        self._together: dict[Hashable, Together] = {}

    def execute_field(
        self,
        parent_type: GraphQLObjectType,
        source: Any,
        field_details_list: list[FieldDetails],
        path: Path,
        position_context: Any,
    ) -> Any:
        if path.prev is None and (error := self.forbidden.get(str(path.key))) is not None:
            field = parent_type.fields[field_details_list[0].node.name.value]
            self.handle_field_error(error, field.type, field_details_list, path)
            return None
        return super().execute_field(parent_type, source, field_details_list, path, position_context)

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
        if isinstance(result, Reference):
            must_exist = is_non_null_type(return_type)
            is_in_item = path.prev is not None and isinstance(path.prev.key, int)
            if is_in_item and isinstance(result.number, int):
                return self._read_together(result, result.number, field_details_list, info, must_exist=must_exist)
            return self._read(result, field_details_list, info, must_exist=must_exist)
        return super().complete_value(return_type, field_details_list, info, path, result, position_context)

    def _read_together(
        self,
        result: Reference,
        number: int,
        details: list[FieldDetails],
        info: GraphQLResolveInfo[Any],
        *,
        must_exist: bool,
    ) -> Any:
        """Of an object in an item of a list. All items are completed before the first of these is awaited: so one
        statement reads the objects of all."""
        key = (position_of(details), result.type)
        objects = self._together.setdefault(key, Together())
        objects.numbers.append(number)

        async def read() -> Any:
            self._together.pop(key, None)
            if len(objects.numbers) == 1:
                return await self._read(result, details, info, must_exist=must_exist)
            if objects.found is None:
                several = Reference(result.type, list(dict.fromkeys(objects.numbers)))
                objects.found = asyncio.ensure_future(self._read_each(several, details, info))
            found = (await objects.found)[number]
            if found is None and must_exist:
                raise NotFound(DELETED)
            return found

        return read()

    async def _read_each(
        self, several: Reference, details: list[FieldDetails], info: GraphQLResolveInfo[Any]
    ) -> Mapping[int, Any]:
        assert not isinstance(several.number, int)
        json = await self._read_json(several, details, info, with_missing=True)
        return dict(zip(several.number, orjson.loads(json or "[]"), strict=True))

    async def _read(
        self, result: Reference, details: list[FieldDetails], info: GraphQLResolveInfo[Any], *, must_exist: bool
    ) -> Fragment | None:
        json = await self._read_json(result, details, info)
        if result is ROOT and json is not None:
            json = json[json.index(":") + 1 : -1]  # the only value: its key is a name, so the first colon ends it
        if json is not None and json != "null":
            return Fragment(json)
        if must_exist:
            raise NotFound(DELETED)
        return None

    async def _read_json(
        self,
        result: Reference,
        details: list[FieldDetails],
        info: GraphQLResolveInfo[Any],
        *,
        with_missing: bool = False,
    ) -> str | None:
        context: Context = self.context_value
        confined = context.identity.dataset_ids is not None  # the token sees some datasets only
        page = self.prepared.limits.page
        position = position_of(details)
        variables = self._variables(position, result, details)
        several = not isinstance(result.number, int)
        key = (self.prepared, position, result.type, several, with_missing, confined, shape(variables))

        def compiled() -> Plan:
            values = placeholders(VariableValues(self.variable_values.sources, variables))
            translator = Translator(self.schema, self.prepared, values)
            if result is ROOT:
                field = translator.field(info.parent_type, str(info.path.key), details)
                return queries.compile_query([field], confined=confined, page=page)
            type_ = self.schema.type_map[result.type]
            assert isinstance(type_, GraphQLObjectType)
            fields = translator.below(type_, details)
            how: dict[str, Any] = {"several": several, "with_missing": with_missing, "confined": confined}
            return queries.compile_reference(result.type, fields, **how, page=page)

        try:
            plan = await self.plans.get(context.identity, key, compiled)
            values = inputs(self.version, context, {**variables, queries.REFERENCE: result.number})
            return await queries.read(context.database, plan, values)
        except ArgumentError as error:
            raise error.cause from None
        except Exception as error:
            if self.prepared.is_mutation and explain_to_client(error):
                raise Unavailable(COMMITTED) from error
            raise

    def _variables(self, position: tuple[int, ...], result: Reference, details: list[FieldDetails]) -> dict[str, Any]:
        """The variables that the plan depends on. A mutation's own arguments, new in every request, do not belong to
        them, and may be huge."""
        used = self.prepared.plan_variables
        if position not in used:
            nodes = (each.node if result is ROOT else each.node.selection_set for each in details)
            used[position] = variables_in(self.prepared, filter(None, nodes))
        return {name: value for name, value in self.variable_values.coerced.items() if name in used[position]}


@dataclass(slots=True)
class Together:
    """Objects of one type, in the items of a list; `found` by number, once the first of them is needed."""

    numbers: list[int] = field(default_factory=list)
    found: asyncio.Future[Mapping[int, Any]] | None = None


def position_of(details: list[FieldDetails]) -> tuple[int, ...]:
    """As old as the document, which is part of the key of a plan."""
    return tuple(id(each.node) for each in details)


def inputs(version: str, context: Context, variables: dict[str, Any]) -> Inputs:
    return Inputs(variables, context.identity, context.links, context.limits, version)
