"""What both servers are asked: in GraphQL, and in SQL as one would write it by hand for just this answer."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

DATASET = "bench"
LABELS = [f"label_{n}" for n in range(1, 21)]  # those common enough that the naive statement, too, finds a good plan


@dataclass(frozen=True, slots=True)
class Question:
    """`variables`: those of the requests, which are asked in turn, by the number of samples."""

    name: str
    graphql: str
    sql: str
    variables: Callable[[int], list[dict[str, Any]]]


def _moment(column: str) -> str:
    """RFC 3339 with three digits of the second, in half the time of `to_char`."""
    return f"left(to_json(date_bin('1 ms', {column}, '2000-01-01Z') + interval '1 microsecond')::text, 24), 'Z\"'"


# `concat` is a third quicker than json_build_object: the limit is written as well as we can write it.
_LABELS_OF_SAMPLE = """
    (SELECT string_agg(concat('{"id":"Label:', l.id, '","name":"', l.name, '","color":',
                              coalesce('"' || l.color || '"', 'null'), '}'), ',' ORDER BY l.id)
     FROM label l WHERE l.id = ANY (s.label_ids))"""

_PAGE_OF_SAMPLES = """
    SELECT concat('{"data":{"dataset":{"samples":{"nodes":[', string_agg(concat(
        '{"id":"Sample:', s.id, '","path":', to_json(s.path), ',"state":"', s.state,
        '","labeledBy":', coalesce(to_json(s.labeled_by)::text, 'null'), ',"createdAt":', CREATED_AT,
        ',"labels":[', LABELS, ']}'), ',') FILTER (WHERE s.n <= 100),
        '],"pageInfo":{"hasNextPage":', (count(*) > 100)::text, '}}}}}')
    FROM (SELECT p.*, row_number() OVER () AS n FROM (
            SELECT s.id, s.path, s.state, s.labeled_by, s.created_at, s.label_ids FROM sample s
            WHERE s.dataset_id = (SELECT id FROM dataset WHERE name = :dataset AND deleted_at IS NULL) AND SUCH
            ORDER BY s.created_at DESC, s.id DESC LIMIT 101) p) s
""".replace("LABELS", _LABELS_OF_SAMPLE).replace("CREATED_AT", _moment("s.created_at"))

QUESTIONS = [
    Question(
        "a page of 100 with labels",
        """
        query Page($dataset: String!) {
          dataset(by: {name: $dataset}) {
            samples(first: 100) {
              nodes { id path state labeledBy createdAt labels { id name color } }
              pageInfo { hasNextPage }
            }
          }
        }
        """,
        _PAGE_OF_SAMPLES.replace("AND SUCH", ""),
        lambda _: [{"dataset": DATASET}],
    ),
    Question(
        "the same, with a label filter",
        """
        query Page($dataset: String!, $label: String!) {
          dataset(by: {name: $dataset}) {
            samples(first: 100, filter: {labels: {names: [$label]}}) {
              nodes { id path state labeledBy createdAt labels { id name color } }
              pageInfo { hasNextPage }
            }
          }
        }
        """,
        _PAGE_OF_SAMPLES.replace(
            "SUCH",
            """s.label_ids && ARRAY(SELECT l.id FROM label l JOIN dataset d ON d.id = l.dataset_id
                                    WHERE d.name = :dataset AND d.deleted_at IS NULL AND l.name = :label)""",
        ),
        lambda _: [{"dataset": DATASET, "label": label} for label in LABELS],
    ),
    Question(
        "the dashboard",
        """
        query Dashboard($dataset: String!) {
          dataset(by: {name: $dataset}) {
            id name type revision
            statistics { totalCount labeledCount unlabeledCount pendingCount }
            labels { id name color sampleCount annotationCount }
          }
        }
        """,
        """
        SELECT concat('{"data":{"dataset":{"id":"Dataset:', d.id, '","name":', to_json(d.name), ',"type":"', d.type,
            '","revision":', d.revision, ',"statistics":{"totalCount":', d.total, ',"labeledCount":', d.labeled,
            ',"unlabeledCount":', d.total - d.labeled - d.pending, ',"pendingCount":', d.pending, '},"labels":[',
            (SELECT string_agg(concat('{"id":"Label:', l.id, '","name":"', l.name, '","color":',
                                      coalesce('"' || l.color || '"', 'null'), ',"sampleCount":', c.sample_count,
                                      ',"annotationCount":', c.annotation_count, '}'), ',' ORDER BY l.id)
             FROM label l JOIN label_count c ON c.label_id = l.id WHERE l.dataset_id = d.id), ']}}}')
        FROM dataset d WHERE d.name = :dataset AND d.deleted_at IS NULL
        """,
        lambda _: [{"dataset": DATASET}],
    ),
    Question(
        "one sample",
        """
        query One($id: ID!) {
          node(id: $id) {
            ... on Sample {
              id path size width height format state createdAt
              labels { id name color }
              annotations { id labeledBy labeledAt origin label { name } }
            }
          }
        }
        """,
        """
        SELECT concat('{"data":{"node":{"id":"Sample:', s.id, '","path":', to_json(s.path), ',"size":', o.size,
            ',"width":', coalesce(o.width::text, 'null'), ',"height":', coalesce(o.height::text, 'null'),
            ',"format":', coalesce('"' || o.format || '"', 'null'), ',"state":"', s.state,
            '","createdAt":', CREATED_AT, ',"labels":[', LABELS, '],"annotations":[',
            (SELECT string_agg(concat('{"id":"Annotation:', a.id, '","labeledBy":', to_json(a.labeled_by),
                                      ',"labeledAt":', LABELED_AT, ',"origin":"', a.origin,
                                      '","label":{"name":"', l.name, '"}}'), ',' ORDER BY a.id)
             FROM annotation a JOIN label l ON l.id = a.label_id WHERE a.sample_id = s.id), ']}}}')
        FROM sample s JOIN source o ON o.id = s.source_id JOIN dataset d ON d.id = s.dataset_id
        WHERE s.id = split_part(:id, ':', 2)::bigint AND d.deleted_at IS NULL
        """.replace("LABELS", _LABELS_OF_SAMPLE)
        .replace("CREATED_AT", _moment("s.created_at"))
        .replace("LABELED_AT", _moment("a.labeled_at")),
        lambda rows: [{"id": f"Sample:{number * (rows // 200) + 1}"} for number in range(200)],
    ),
]
