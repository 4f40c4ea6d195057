"""Sample filters as SQL conditions: the same for the pages that show samples and the writers that change them.

    SampleFilter(state="LABELED", labels=LabelFilter(["cat", "dog"], "ALL"), not_=SampleFilter(hard=True))

A writer says `select(Sample.id).where(conditions(filter, working_set(dataset_id)))`.

criteria    what a filter can contain            conditions  the SQL of a filter
patterns    values made ready to be compared
"""

from db.queries.filters.conditions import SampleRows, conditions, labels_are_rare, working_set
from db.queries.filters.criteria import LabelFilter, PathFilter, SampleFilter, TextFilter, TimeFilter, has_criteria

__all__ = [
    "LabelFilter",
    "PathFilter",
    "SampleFilter",
    "SampleRows",
    "TextFilter",
    "TimeFilter",
    "conditions",
    "has_criteria",
    "labels_are_rare",
    "working_set",
]
