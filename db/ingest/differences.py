"""What an entry changes of a sample's annotations."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from db.formats.annotations import ParsedAnnotation
from db.ingest.policy import Policy


def difference(
    annotations: Sequence[ParsedAnnotation] | None, existing: Mapping[int, ParsedAnnotation], policy: Policy
) -> tuple[tuple[int, ...], tuple[ParsedAnnotation, ...]]:
    """The ids of existing annotations to remove, and the annotations to add, in the order of the entry.

    An existing annotation that the entry repeats stays; of several equal ones, the first. If `exact`, one of the same
    label and shape is replaced where the entry gives another author, time, confidence or attributes; what the entry
    does not give is kept. `annotations` None: the entry says nothing about labels.
    """
    if annotations is None or not (annotations or policy.clears):
        return (), ()
    staying = defaultdict[tuple[Any, ...], list[tuple[int, ParsedAnnotation]]](list)
    for id, before in existing.items():
        staying[policy.comparison_key(before)].append((id, before))
    added, removed = dict[int, ParsedAnnotation](), list[int]()
    for index, annotation in sorted(enumerate(annotations), key=lambda each: _by_detail(each[1])):
        candidates = staying[policy.comparison_key(annotation)]
        same = next((n for n, (_, one) in enumerate(candidates) if _is_repeated(one, annotation, policy)), None)
        if same is None:
            added[index] = annotation
        else:
            del candidates[same]
    for index, annotation in sorted(added.items() if policy.exact else ()):
        if candidates := staying[policy.comparison_key(annotation)]:
            id, before = candidates.pop(0)
            removed.append(id)
            added[index] = _replacement(annotation, before)
    removed += [id for rest in staying.values() for id, _ in rest]
    return tuple(sorted(removed)), tuple(added[index] for index in sorted(added))


def _by_detail(annotation: ParsedAnnotation) -> tuple[bool, bool, int]:
    """The sort key by which the most detailed come first: the fewest existing annotations can be the same."""
    given = annotation.attributes.said.union(annotation.attributes.to_json() or ())
    return annotation.author is None, annotation.confidence is None, -len(given)


def _is_repeated(before: ParsedAnnotation, annotation: ParsedAnnotation, policy: Policy) -> bool:
    """Whether an existing annotation has everything that the entry gives. Times in manifests are in whole seconds."""
    if policy.exact and not _has_values_of(before, annotation):
        return False
    given, author = annotation.author, before.author
    if given is None or author is None:
        return True
    if given.by != author.by and given.is_said and policy.exact:
        return False
    return given.at is None or (author.at is not None and _to_second(given.at) == _to_second(author.at))


def _has_values_of(before: ParsedAnnotation, annotation: ParsedAnnotation) -> bool:
    """Whether an existing annotation has the confidence, which some files write with 15 digits, and the attributes."""
    given = annotation.confidence
    is_as_sure = given is None or (before.confidence is not None and math.isclose(given, before.confidence))
    return is_as_sure and annotation.attributes.over(before.attributes) == before.attributes


def _replacement(annotation: ParsedAnnotation, before: ParsedAnnotation) -> ParsedAnnotation:
    """The annotation, with what the entry does not give from the existing one that it replaces."""
    author = annotation.author or before.author
    if author is not None and before.author is not None:
        name, at = author.by if author.is_said else before.author.by, before.author.at
        is_known = author.at is None or (at is not None and _to_second(at) == _to_second(author.at))
        is_other = name != before.author.by
        author = replace(author, by=name, at=at if is_known and not is_other else author.at)
    confidence = before.confidence if annotation.confidence is None else annotation.confidence
    attributes = annotation.attributes.over(before.attributes)
    return replace(annotation, author=author, confidence=confidence, attributes=attributes)


def _to_second(moment: datetime) -> datetime:
    return moment.replace(microsecond=0)
