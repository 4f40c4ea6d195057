"""What both servers are asked: in GraphQL, and in SQL as one would write it by hand for just this answer."""

from dataclasses import dataclass, field
from typing import Any

DATASET = "bench"
LABELS = [f"label_{n}" for n in range(1, 51)]


@dataclass(frozen=True, slots=True)
class Question:
    name: str
    graphql: str
    sql: str
    variables: list[dict[str, Any]] = field(default_factory=lambda: [{}])  # asked in turn; values in the SQL's order


_LABELS_OF_SAMPLE = """
    (SELECT coalesce(json_agg(json_build_object('id', 'Label:' || l.id, 'name', l.name, 'color', l.color)
                              ORDER BY l.id), '[]') FROM label l WHERE l.id = ANY (s.label_ids))"""

_PAGE_OF_SAMPLES = f"""
    SELECT json_build_object('data', json_build_object('dataset', json_build_object('samples', json_build_object(
        'nodes', coalesce(json_agg(json_build_object(
            'id', 'Sample:' || s.id, 'path', s.path, 'state', s.state, 'labeledBy', s.labeled_by,
            'createdAt', s.created_at, 'labels', {_LABELS_OF_SAMPLE}
        ) ORDER BY s.created_at DESC, s.id DESC) FILTER (WHERE s.n <= 100), '[]'),
        'pageInfo', json_build_object('hasNextPage', count(*) > 100)))))::text
    FROM (SELECT p.*, row_number() OVER (ORDER BY p.created_at DESC, p.id DESC) AS n FROM (
            SELECT s.* FROM sample s
            WHERE s.dataset_id = (SELECT id FROM dataset WHERE name = $1 AND deleted_at IS NULL) {{where}}
            ORDER BY s.created_at DESC, s.id DESC LIMIT 101) p) s
"""

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
        _PAGE_OF_SAMPLES.format(where=""),
        [{"dataset": DATASET}],
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
        _PAGE_OF_SAMPLES.format(
            where="""AND s.label_ids && ARRAY(SELECT l.id FROM label l JOIN dataset d ON d.id = l.dataset_id
                                              WHERE d.name = $1 AND d.deleted_at IS NULL AND l.name = $2)"""
        ),
        [{"dataset": DATASET, "label": label} for label in LABELS],
    ),
    Question(
        "the dashboard",
        """
        query Dashboard($dataset: String!) {
          dataset(by: {name: $dataset}) {
            id name type revision
            statistics { total labeled unlabeled pending }
            labels { id name color sampleCount annotationCount }
          }
        }
        """,
        """
        SELECT json_build_object('data', json_build_object('dataset', json_build_object(
            'id', 'Dataset:' || d.id, 'name', d.name, 'type', d.type, 'revision', d.revision,
            'statistics', json_build_object('total', d.total, 'labeled', d.labeled,
                'unlabeled', d.total - d.labeled - d.pending, 'pending', d.pending),
            'labels', (SELECT coalesce(json_agg(json_build_object(
                    'id', 'Label:' || l.id, 'name', l.name, 'color', l.color,
                    'sampleCount', c.sample_count, 'annotationCount', c.annotation_count) ORDER BY l.id), '[]')
                FROM label l JOIN label_count c ON c.label_id = l.id WHERE l.dataset_id = d.id))))::text
        FROM dataset d WHERE d.name = $1 AND d.deleted_at IS NULL
        """,
        [{"dataset": DATASET}],
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
        f"""
        SELECT json_build_object('data', json_build_object('node', json_build_object(
            'id', 'Sample:' || s.id, 'path', s.path, 'size', o.size, 'width', o.width, 'height', o.height,
            'format', o.format, 'state', s.state, 'createdAt', s.created_at, 'labels', {_LABELS_OF_SAMPLE},
            'annotations', (SELECT coalesce(json_agg(json_build_object(
                    'id', 'Annotation:' || a.id, 'labeledBy', a.labeled_by, 'labeledAt', a.labeled_at,
                    'origin', a.origin, 'label', json_build_object('name', l.name)) ORDER BY a.id), '[]')
                FROM annotation a JOIN label l ON l.id = a.label_id WHERE a.sample_id = s.id))))::text
        FROM sample s JOIN source o ON o.id = s.source_id JOIN dataset d ON d.id = s.dataset_id
        WHERE s.id = split_part($1, ':', 2)::bigint AND d.deleted_at IS NULL
        """,
        [{"id": f"Sample:{number * 4999 + 1}"} for number in range(200)],
    ),
]
