"""The columns of a sample that follow from its annotations: `state`, `label_ids`, how sure models are of it, and who
labelled it last, when, and how.

The rule is written once, in SQL: the function `derived_state(sample)` returns what only the annotations say,
`sample_state(label_ids, suggested)` the state of one that is being inserted, and `REFRESH` updates the samples of
a table `selected (id)`.
"""

from typing import Final

from db.postgres import sql

SQL: Final = sql.load(__file__)
REFRESH: Final = SQL.refresh
SURENESS: Final = (  # columns that follow from the suggestions, and from which labels are confirmed
    "suggestion_confidence",
    "suggestion_margin",
    "suggestion_entropy",
    "suggestion_disagreement",
    "suggestion_conflict",
    "suggestion_lowest",
)
