"""Pages of Markdown from a GraphQL schema: every type with its fields, arguments and values, each linked."""

from collections.abc import Iterable, Iterator, Mapping

from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLUnionType,
    Undefined,
    ast_from_value,
    build_schema,
    get_named_type,
    is_introspection_type,
    is_specified_scalar_type,
    print_ast,
)

ROOTS: Mapping[str, str] = {"Query": "queries", "Mutation": "mutations", "Subscription": "subscriptions"}
# The pages of other types, in the order of the menu: which types, its title, and what it begins with.
KINDS: Mapping[str, tuple[tuple[type, ...], str]] = {
    "objects": ((GraphQLObjectType,), "Objects"),
    "interfaces": ((GraphQLInterfaceType, GraphQLUnionType), "Interfaces and unions"),
    "inputs": ((GraphQLInputObjectType,), "Inputs"),
    "enums": ((GraphQLEnumType,), "Enums"),
    "scalars": ((GraphQLScalarType,), "Scalars"),
}


def pages(sdl: str) -> dict[str, str]:
    """The text of each page, by its name without a suffix."""
    schema = build_schema(sdl)
    found = {name: "\n".join(root_page(schema, type_name)) for type_name, name in ROOTS.items()}
    for name, (kinds, title) in KINDS.items():
        types = [each for each in listed(schema) if isinstance(each, kinds) and each.name not in ROOTS]
        parts = [line for each in types for line in (f"## {each.name} {{ #{each.name} }}", "", *of_type(schema, each))]
        found[name] = "\n".join([f"# {title}", "", *parts])
    return found


def listed(schema: GraphQLSchema) -> Iterable[GraphQLNamedType]:
    types = (each for each in schema.type_map.values() if not is_introspection_type(each))
    return sorted((each for each in types if not is_specified_scalar_type(each)), key=lambda each: each.name)


def page_of(type_: GraphQLNamedType) -> str:
    if type_.name in ROOTS:
        return ROOTS[type_.name]
    return next(name for name, (kinds, _) in KINDS.items() if isinstance(type_, kinds))


def root_page(schema: GraphQLSchema, type_name: str) -> Iterator[str]:
    """Each field with a heading: they are what clients look for."""
    root = schema.type_map[type_name]
    assert isinstance(root, GraphQLObjectType)
    yield from (f"# {ROOTS[type_name].capitalize()}", "", root.description or "", "")
    for name, field in root.fields.items():
        yield from (f"## {name} {{ #{name} }}", "", *deprecation(field), field.description or "", "")
        yield from (f"Returns {link(field.type)}.", "")
        if field.args:
            yield from table("argument", ((each, argument) for each, argument in field.args.items()))


def of_type(schema: GraphQLSchema, type_: GraphQLNamedType) -> Iterator[str]:
    yield from (type_.description or "", "")
    match type_:
        case GraphQLScalarType():
            if type_.specified_by_url:
                yield from (f"Specified by <{type_.specified_by_url}>.", "")
        case GraphQLEnumType():
            yield from ("| value | |", "|---|---|")
            for name, value in type_.values.items():
                yield f"| `{name}` | {cell(*deprecation(value), value.description)} |"
            yield ""
        case GraphQLUnionType():
            yield from (f"One of {', '.join(link(each) for each in type_.types)}.", "")
        case GraphQLInputObjectType():
            yield from table("field", type_.fields.items())
        case GraphQLObjectType() | GraphQLInterfaceType():
            if type_.interfaces:
                yield from (f"Implements {', '.join(link(each) for each in type_.interfaces)}.", "")
            if isinstance(type_, GraphQLInterfaceType):
                objects = schema.get_possible_types(type_)
                yield from (f"Implemented by {', '.join(link(each) for each in objects)}.", "")
            yield from table("field", type_.fields.items())


def table(
    what: str, entries: Iterable[tuple[str, GraphQLField | GraphQLArgument | GraphQLInputField]]
) -> Iterator[str]:
    """Fields with their arguments below them."""
    yield from (f"| {what} | type | |", "|---|---|---|")
    for name, entry in entries:
        yield row(f"`{name}`", entry)
        if isinstance(entry, GraphQLField):
            yield from (row(f"↳ `{each}`", argument) for each, argument in entry.args.items())
    yield ""


def row(name: str, entry: GraphQLField | GraphQLArgument | GraphQLInputField) -> str:
    return f"| {name} | {link(entry.type)} | {cell(*deprecation(entry), entry.description, *default(entry))} |"


def default(entry: GraphQLField | GraphQLArgument | GraphQLInputField) -> Iterator[str]:
    if isinstance(entry, GraphQLField) or entry.default_value in (Undefined, None):
        return
    value = ast_from_value(entry.default_value, entry.type)
    if value is not None:
        yield f"Default: `{print_ast(value)}`."


def deprecation(entry: object) -> Iterator[str]:
    reason = getattr(entry, "deprecation_reason", None)
    if reason:
        yield f"**Deprecated.** {reason}"


def link(type_: object) -> str:
    """A type with its brackets and marks; the name leads to it."""
    named = get_named_type(type_)  # type: ignore[call-overload]
    text = str(type_).replace("[", "\\[").replace("]", "\\]")
    if is_specified_scalar_type(named):
        return text
    return text.replace(named.name, f"[{named.name}]({page_of(named)}.md#{named.name})", 1)


def cell(*parts: str | None) -> str:
    return " ".join(" ".join(part.split()) for part in parts if part).replace("|", "\\|")
