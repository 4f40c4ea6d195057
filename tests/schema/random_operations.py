"""Queries as clients might write them, made up from the SDL: fragments, aliases, directives, variables, pages."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from random import Random
from typing import Any, ClassVar

from graphql import (
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLSchema,
    get_named_type,
    is_abstract_type,
    is_leaf_type,
)

from tests.schema.reference_lists import DATASET_FIELDS, SAMPLE_FIELDS, SEEDS, order_name
from tests.schema.sample_data import CHANGES, DIRECTORIES, MODELS, NAMES, NOW, PEOPLE

LABELS = ("cat", "Cat", "dog-1", "狗", "unused", "nobody", "", "a\x00")
MODEL_NAMES = (*((name, version) for name, version, _ in MODELS), ("res\\net", "2"), ("\x00", "1"))
NEEDLES = (
    *NAMES,
    "CAFÉ",
    "e",
    "\u0301",
    "i",
    "%",
    "_",
    "\\",
    "'",
    '"',
    ".jpg",
    "größe",
    "ÄRGER",
    "g0",
    "",
    "\x00",
    "\ud800",
    "/",
    "s/i",
)
# Compared with models of their own: tests/schema/test_versions_model.py, test_delete_impact.py, test_embeddings.py,
# test_duplicates.py.
APART = frozenset(
    {"Version", "version", "versions", "currentVersion", "comparison", "deleteImpact", "similar", "duplicates"}
)
MOMENTS = ("2000-01-01T00:00:00+00:00", NOW.isoformat(), "2099-12-31T23:59:59.5+09:00")


@dataclass(frozen=True, slots=True)
class KnownValues:
    """What there is to ask about: global ids, names of datasets, paths of samples, and the cursors of every list in
    every order."""

    ids: Sequence[str]
    names: Sequence[str]
    paths: Sequence[str]
    cursors: Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Word:
    """An enum value."""

    name: str


@cache
def of_several_types(schema: GraphQLSchema) -> frozenset[str]:
    """Names of fields that two types of `Node` have with different types: they need aliases beside each other."""
    types: dict[str, set[str]] = {}
    for each in schema.get_possible_types(schema.type_map["Node"]):  # type: ignore[arg-type]
        for name, declared in each.fields.items():
            types.setdefault(name, set()).add(str(declared.type))
    return frozenset(name for name in types if len(types[name]) > 1)


@dataclass(slots=True)
class Writer:
    apart: ClassVar[frozenset[str]] = APART  # fields and types that are left out
    depth: ClassVar[int] = 4

    random: Random
    schema: GraphQLSchema
    known: KnownValues
    variables: dict[str, tuple[str, Any]] = field(default_factory=dict)
    fragments: list[str] = field(default_factory=list)
    names: int = 0

    def operation(self) -> tuple[str, dict[str, Any]]:
        assert self.schema.query_type is not None
        body = self.selection(self.schema.query_type, self.depth)
        declared = ", ".join(f"${name}: {kind}" for name, (kind, _) in self.variables.items())
        source = " ".join([f"query Made{f'({declared})' if declared else ''} {body}", *self.fragments])
        return source, {name: value for name, (_, value) in self.variables.items()}

    def chance(self, of: int) -> bool:
        return self.random.randrange(of) == 0

    def pick(self, values: Sequence[Any]) -> Any:
        return self.random.choice(list(values))

    def some(self, values: Sequence[Any], most: int) -> list[Any]:
        return self.random.choices(list(values), k=self.random.randint(0, most))

    def fresh(self, prefix: str) -> str:
        self.names += 1
        return f"{prefix}{self.names}"

    def selection(self, kind: Any, depth: int) -> str:
        fields = [] if not hasattr(kind, "fields") else list(kind.fields.items())
        fields = [(name, each) for name, each in fields if name not in self.apart]
        usable = [(name, each) for name, each in fields if depth > 0 or is_leaf_type(get_named_type(each.type))]
        count = self.random.randint(0, min(5, len(usable)))
        parts = [self.field(kind.name, self.pick(usable), depth) for _ in range(count)]
        if is_abstract_type(kind):
            types = [each for each in self.schema.get_possible_types(kind) if each.name not in self.apart]
            parts += [self.spread(each, depth) for each in types if not self.chance(3)]
        elif count and self.chance(4):
            parts.append(self.spread(kind, depth - 1))
        return f"{{ {' '.join(parts or ['__typename'])} }}"

    def spread(self, kind: Any, depth: int) -> str:
        body = self.selection(kind, depth)
        condition = kind.name if not self.chance(3) or not getattr(kind, "interfaces", ()) else kind.interfaces[0].name
        if condition != kind.name:
            return f"... on {condition}{self.directive()} {{ ... on {kind.name} {body} }}"
        if self.chance(2):
            return f"... on {kind.name}{self.directive()} {body}"
        name = self.fresh("Part")
        self.fragments.append(f"fragment {name} on {kind.name} {body}")
        return f"...{name}{self.directive()}"

    def directive(self) -> str:
        if not self.chance(6):
            return ""
        value = self.pick((True, False))
        input_ = self.variable("Boolean!", value) if self.chance(2) else json.dumps(value)
        return f" @{self.pick(('skip', 'include'))}(if: {input_})"

    def field(self, parent: str, named: tuple[str, GraphQLField], depth: int) -> str:
        name, declared = named
        arguments = self.arguments(parent, name, declared)
        has_alias = arguments or name in of_several_types(self.schema) or self.chance(8)
        alias = f"{self.fresh('a')}: " if has_alias else ""
        below = (
            ""
            if is_leaf_type(get_named_type(declared.type))
            else self.selection(get_named_type(declared.type), depth - 1)
        )
        if below and not alias and self.chance(2):  # the same field twice, to be merged
            return f"{name} {below} {name} {self.selection(get_named_type(declared.type), depth - 1)}"
        return f"{alias}{name}{arguments}{self.directive()} {below}"

    # -- arguments ----------------------------------------------------------------------------------------------------

    def arguments(self, parent: str, name: str, declared: GraphQLField) -> str:
        values = self.values(parent, name, declared)
        input_ = [f"{key}: {self.input_(value, declared.args[key].type)}" for key, value in values.items()]
        return f"({', '.join(input_)})" if input_ else ""

    def values(self, parent: str, name: str, declared: GraphQLField) -> dict[str, Any]:
        match name:
            case "node" if parent == "Query":
                return {"id": self.pick(self.known.ids)}
            case "nodes" if parent == "Query":
                return {"ids": self.some(self.known.ids, 4)}
            case "dataset" if parent == "Query":
                by_id = {"id": self.pick(self.known.ids[:4])}
                return {"by": by_id if self.chance(2) else {"name": self.pick(self.known.names)}}
            case "sample" if parent == "Dataset":
                return {"path": self.pick(self.known.paths)}
            case "label" if parent == "Dataset":
                return {"name": self.pick(LABELS)}
            case "thumbnailUrl":
                return {} if self.chance(2) else {"size": self.random.randint(16, 1024)}
            case _ if parent == "SampleFacets" and declared.args:
                return self.facet(declared)
        return self.page(parent, name, declared) if "first" in declared.args else {}

    def facet(self, declared: GraphQLField) -> dict[str, Any]:
        values = {"first": self.pick((None, 0, 1, 2, 100)), "under": self.pick((None, *DIRECTORIES, "/cats", "\x00"))}
        return {name: value for name, value in values.items() if name in declared.args and self.chance(2)}

    def page(self, parent: str, name: str, declared: GraphQLField) -> dict[str, Any]:
        values: dict[str, Any] = {}
        order = None
        if "orderBy" in declared.args:
            order = self.order(name)
            if order is not None or self.chance(2):
                values["orderBy"] = order
        if name == "samples" and parent != "Change" and not self.chance(3):
            values["filter"] = self.filter(2)
        if name == "datasets" and self.chance(2):
            by_name = {self.pick(("contains", "eq")): self.pick(("PET", "pets", "%", "_", "2", "\x00", None))}
            values["filter"] = {"name": self.pick((by_name, by_name, None)), "type": None}
        if name in ("jobs", "changes") and not self.chance(3):
            values["filter"] = self.timeline_filter(name)
        size = self.pick((None, 0, 1, 2, 3, 7, 100))
        if size is not None:
            values[self.pick(("first", "last"))] = size
        listed = "change.sample" if name == "samples" and parent == "Change" else name.removesuffix("s")
        if "orderBy" in declared.args:
            listed = order_name(listed, plain(order))
        for side in ("after", "before"):
            if self.chance(3):
                values[side] = self.pick([None, *self.known.cursors[listed]])
        return values

    def order(self, name: str) -> dict[str, Any] | None:
        if self.chance(5):
            return None
        field = self.pick(DATASET_FIELDS if name == "datasets" else SAMPLE_FIELDS)
        order = {"field": Word(field), "direction": self.pick((None, Word("ASC"), Word("DESC")))}
        if field == "RANDOM":
            order["seed"] = self.pick((None, *SEEDS))
        return {key: value for key, value in order.items() if value is not None or self.chance(2)}

    def filter(self, depth: int) -> dict[str, Any]:
        makers: dict[str, Callable[[], Any]] = {
            "state": lambda: Word(self.pick(("UNLABELED", "LABELED", "PENDING"))),
            "usage": lambda: Word(self.pick(("TRAIN", "EVAL"))),
            "isHard": lambda: self.pick((True, False)),
            "isDamaged": lambda: self.pick((True, False)),
            "labeledBy": lambda: self.some((*PEOPLE, "x", "\x00"), 3),
            "labels": lambda: self.labels(),
            "createdAt": lambda: self.time(),
            "addedAt": lambda: self.time(),
            "labeledAt": lambda: self.time(),
            "ids": lambda: self.some(self.known.ids, 4),
            "isSourceAvailable": lambda: self.pick((True, False)),
            "width": lambda: self.number((0, 639, 640, 641)),
            "height": lambda: self.number((0, 640)),
            "size": lambda: self.number((0, 1_000_000, 2_500_000)),
            "format": lambda: Word(self.pick(("JPEG", "PNG", "BMP", "TIFF", "GIF"))),
            "annotationCount": lambda: self.number((0, 1, 2, 3)),
            "changedSince": lambda: self.random.randint(0, 6),
            "suggestions": lambda: self.suggestions(),
            "fileName": lambda: {self.pick(("contains", "eq")): self.pick((*NEEDLES, "IMG1.1.jpg"))},
            "path": lambda: self.path(),
            "not": lambda: self.filter(depth - 1),
            "and": lambda: [self.filter(depth - 1) for _ in range(self.random.randint(0, 2))],
            "or": lambda: [self.filter(depth - 1) for _ in range(self.random.randint(0, 2))],
        }
        names = [name for name in makers if depth > 0 or name not in ("not", "and", "or")]
        selected = self.random.sample(names, self.random.randint(0, 3))
        return {name: None if self.chance(12) else makers[name]() for name in selected}

    def timeline_filter(self, name: str) -> dict[str, Any] | None:
        people = (*PEOPLE, "x", "\x00")
        makers: dict[str, Callable[[], Any]] = {"createdAt": lambda: self.time()}
        if name == "changes":
            makers["kinds"] = lambda: [Word(kind) for kind in self.some((*CHANGES, "IMPORT"), 3)]
            makers["actors"] = lambda: self.some(people, 3)
        else:
            kinds = ("SYNC", "IMPORT", "EXPORT", "LARGE_CHANGE", "AUTO_LABEL")
            makers["kinds"] = lambda: [Word(kind) for kind in self.some(kinds, 3)]
            makers["statuses"] = lambda: [Word(each) for each in self.some(("SUCCEEDED", "RUNNING", "QUEUED"), 3)]
            makers["requestedBy"] = lambda: self.some(people, 3)
        selected = self.random.sample(list(makers), self.random.randint(0, 3))
        made = {name: None if self.chance(12) else makers[name]() for name in selected}
        return made if made or self.chance(2) else None

    def labels(self) -> dict[str, Any]:
        made: dict[str, Any] = {}
        if self.chance(3):
            made["ids"] = self.some([each for each in self.known.ids if not each.startswith("Sample")], 2)
        if not made or self.chance(2):
            made["names"] = self.some(LABELS, 3)
        return made if self.chance(3) else {**made, "match": Word(self.pick(("ANY", "ALL", "NONE")))}

    def suggestions(self) -> dict[str, Any]:
        least, most = sorted(self.random.choices((0.0, 0.25, 0.5, 1.0), k=2))
        bounds = {"min": least, "max": most}
        makers: dict[str, Callable[[], Any]] = {
            "labels": lambda: self.some(LABELS, 3),
            "labelIds": lambda: self.some([each for each in self.known.ids if not each.startswith("Sample")], 2),
            "models": lambda: [{"name": name, "modelVersion": version} for name, version in self.some(MODEL_NAMES, 2)],
            "confidence": lambda: {key: bounds[key] for key in self.some(("min", "max"), 2)},
            "disagreesWithLabels": lambda: self.pick((True, False)),
        }
        selected = self.random.sample(list(makers), self.random.randint(0, 3))
        return {name: None if self.chance(12) else makers[name]() for name in selected}

    def time(self) -> dict[str, Any]:
        if self.chance(2):
            return {"preset": Word(self.pick(("WITHIN_1_DAY", "WITHIN_1_MONTH")))}
        start, end = sorted(self.random.choices((0, 1, 2), k=2))
        made = {"from": MOMENTS[start], "to": MOMENTS[end]}
        return made if self.chance(2) else {key: made[key] for key in [self.pick(("from", "to"))]}

    def number(self, values: Sequence[int]) -> dict[str, Any]:
        least, most = sorted(self.random.choices(values, k=2))
        made = {"eq": self.pick(values), "min": least, "max": most}
        return {key: made[key] for key in self.random.sample(["eq", "min", "max"], self.random.randint(0, 2))}

    def path(self) -> dict[str, Any]:
        if self.chance(4):
            return {"in": self.some((*self.known.paths, "none", "\x00"), 3)}
        if self.chance(4):
            return {"startsWith": self.pick((*(path[:-5] for path in self.known.paths), *NEEDLES, *DIRECTORIES))}
        if self.chance(2):
            return {"contains": self.pick(NEEDLES)}
        directory = self.pick((*DIRECTORIES, "cats", "/", "/cats", "none", "cat", "%", "\x00"))
        return {"directory": directory} | ({} if self.chance(3) else {"recursive": self.pick((True, False))})

    # -- writing ------------------------------------------------------------------------------------------------------

    def variable(self, kind: str, value: Any) -> str:
        name = self.fresh("v")
        self.variables[name] = (kind, plain(value))
        return f"${name}"

    def input_(self, value: Any, kind: Any) -> str:
        """The value as a literal, or a variable instead of it, or instead of something in it."""
        if (self.chance(3) and not (value is None and isinstance(kind, GraphQLNonNull))) or _needs_variable(value):
            return self.variable(str(kind), value)
        nullable = kind.of_type if isinstance(kind, GraphQLNonNull) else kind
        match value:
            case Word():
                return value.name
            case dict():
                assert isinstance(nullable, GraphQLInputObjectType)
                one_of = nullable.is_one_of
                items = []
                for key, each in value.items():
                    inner = nullable.fields[key].type
                    items.append(f"{key}: {self.input_(each, GraphQLNonNull(inner) if one_of else inner)}")
                return f"{{{', '.join(items)}}}"
            case list():
                assert isinstance(nullable, GraphQLList)
                return f"[{', '.join(self.input_(each, nullable.of_type) for each in value)}]"
        return json.dumps(value)


def _needs_variable(value: Any) -> bool:
    """Text that no document can contain."""
    return isinstance(value, str) and ("\x00" in value or "\ud800" in value)


def plain(value: Any) -> Any:
    match value:
        case Word():
            return value.name
        case dict():
            return {key: plain(each) for key, each in value.items()}
        case list():
            return [plain(each) for each in value]
    return value
