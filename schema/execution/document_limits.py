"""The limits of a document, checked in one linear pass over its syntax tree, before it is validated.

Each fragment is measured once, so a document that spreads each fragment twice costs its length, never 2^n. The limiters
of the libraries walk every spread again, and validation itself is quadratic in repeated fields: with this check in
front of it, the worst document found costs some tens of milliseconds.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
)

from db import defaults
from schema.errors import TOO_COSTLY, refusal

Fragments = Mapping[str, FragmentDefinitionNode]
# The limits that are checked here, in this order.
COUNTED = ("operations", "fragments", "spreads", "directives", "repeats", "depth", "root_fields", "aliases", "fields")


@dataclass(frozen=True, slots=True)
class DocumentLimits:
    """What one document may contain. The introspection of `GET /graphql` uses 183 tokens; a dashboard some hundreds."""

    source_characters: int = defaults.SOURCE
    tokens: int = defaults.TOKENS
    comments: int = 300
    operations: int = 30
    fragments: int = 100
    spreads: int = 200
    directives: int = defaults.DIRECTIVES
    repeats: int = 5  # of one response key, written in one selection set
    depth: int = defaults.DEPTH  # below `__schema` and `__type`, which validation bounds, fields do not count
    root_fields: int = defaults.ROOT_FIELDS
    aliases: int = defaults.ALIASES  # after fragments are expanded
    fields: int = 4_000  # after fragments are expanded
    cost: int = defaults.COST  # values that the answer may contain: fields, multiplied by the pages they are in
    items: int = defaults.IDS  # of a list among the inputs, where its field declares no other limit
    inputs: int = defaults.INPUTS  # input objects in the variables
    page: int = defaults.PAGE


@dataclass(slots=True)
class Measure:
    """The size of a selection set once its fragments are expanded."""

    depth: int = 0
    roots: int = 0
    fields: int = 0
    aliases: int = 0

    def add(self, other: "Measure") -> None:
        self.depth = max(self.depth, other.depth)
        self.roots += other.roots
        self.fields += other.fields
        self.aliases += other.aliases


class DocumentMeasure:
    """Measures one document."""

    def __init__(self, document: DocumentNode, limits: DocumentLimits) -> None:
        definitions = document.definitions
        self.limits = limits
        self.operations = [node for node in definitions if isinstance(node, OperationDefinitionNode)]
        self.fragments = fragments_of(document)
        self.counts = Counter(
            operations=len(self.operations),
            fragments=sum(isinstance(node, FragmentDefinitionNode) for node in definitions),
        )
        self._fragments: dict[str, Measure | None] = {}

    def check(self) -> None:
        """Raises Refused, with the first limit that the document exceeds."""
        counts = self.counts
        measures = [self._selection_set(node.selection_set) for node in self.operations]
        for name, node in self.fragments.items():  # also those that nothing spreads: validation reads them all
            self._fragment(name, node)
        every = [*measures, *(measure for measure in self._fragments.values() if measure)]
        counts["directives"] += sum(len(node.directives or ()) for node in (*self.operations, *self.fragments.values()))
        counts["depth"] = max((measure.depth for measure in measures), default=0)
        counts["root_fields"] = max((measure.roots for measure in measures), default=0)
        counts["aliases"] = max((measure.aliases for measure in every), default=0)
        counts["fields"] = max((measure.fields for measure in every), default=0)
        for name in COUNTED:
            found, most = min(counts[name], 10**9), getattr(self.limits, name)
            if found > most:
                words = f"{name.replace('_', ' ')} {found}, at most {most} allowed"
                message = f"The document is too large: {words}. Ask for less at once."
                raise refusal(message, TOO_COSTLY, limit=name, most=most, found=found)

    def _selection_set(self, selection_set: SelectionSetNode) -> Measure:
        total = Measure()
        keys: Counter[str] = Counter()
        for node in selection_set.selections:
            self.counts["directives"] += len(node.directives or ())
            match node:
                case FieldNode():
                    keys[node.alias.value if node.alias else node.name.value] += 1
                    field = Measure(fields=1, aliases=int(node.alias is not None))
                    if node.selection_set:
                        field.add(self._selection_set(node.selection_set))
                    field.depth = 1 if node.name.value.startswith("__") else field.depth + 1
                    field.roots = 1
                    total.add(field)
                case InlineFragmentNode():
                    total.add(self._selection_set(node.selection_set))
                case FragmentSpreadNode():
                    self.counts["spreads"] += 1
                    total.add(self._fragment(node.name.value, self.fragments.get(node.name.value)))
        self.counts["repeats"] = max((self.counts["repeats"], *keys.values()))
        return total

    def _fragment(self, name: str, node: FragmentDefinitionNode | None) -> Measure:
        """A fragment is measured once. One that spreads itself adds nothing here: validation refuses it."""
        if node is None:
            return Measure()
        if name not in self._fragments:
            self._fragments[name] = None
            self._fragments[name] = self._selection_set(node.selection_set)
        return self._fragments[name] or Measure()


def fragments_of(document: DocumentNode) -> dict[str, FragmentDefinitionNode]:
    return {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
