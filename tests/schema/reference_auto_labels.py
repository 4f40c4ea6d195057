# ruff: noqa: N802 - methods have the public names of fields
"""Auto labelling jobs, as the reference reader reads them."""

from typing import Any

from tests.schema.reference_jobs import SyncJob
from tests.schema.reference_things import Row, Tables, Thing


class AutoLabelJob(SyncJob):
    def __init__(self, tables: Tables, row: Row) -> None:
        super().__init__(tables, row)
        [self.auto_label] = tables.having("auto_label", job_id=row["id"])
        self.modelKind, self.minConfidence = self.auto_label["model_kind"], self.auto_label["min_confidence"]
        self.sampleCount = self.auto_label["sample_count"]
        self.readCount, self.suggestedCount, self.suggestedSampleCount = row["scanned"], row["added"], row["labeled"]
        self.rejectedBeforeCount = row["missing"]
        self.waitsFor = row["waits_for"] and "VISION_WORKER"

    def model(self, _info: Any) -> Any:
        from tests.schema.reference_reader import Model  # it reads these jobs

        row = self.tables.by_id("model", self.auto_label["model_id"])
        return row and Model(self.tables, row)

    def evaluation(self, _info: Any) -> Any:
        if self.auto_label["accuracy"] is None:
            return None
        return {
            "accuracy": self.auto_label["accuracy"],
            "sampleCount": self.auto_label["evaluated_count"],
            "labels": self._scores(LabelEvaluation, is_left_out=False),
            "confusion": [ConfusionCount(self.tables, row) for row in self._mine("auto_label_confusion")],
            "thresholds": [ThresholdEvaluation(self.tables, row) for row in self._mine("auto_label_threshold")],
        }

    def leftOutLabels(self, _info: Any) -> Any:
        return self._scores(LeftOutLabel, is_left_out=True)

    def _scores(self, type_: "type[Score]", *, is_left_out: bool) -> Any:
        return [type_(self.tables, row) for row in self._mine("auto_label_score", is_left_out=is_left_out)]

    def _mine(self, table: str, **values: Any) -> list[Row]:
        return sorted(self.tables.having(table, job_id=self.row["id"], **values), key=lambda row: row["id"])


class Score(Thing):
    def label(self, _info: Any) -> Any:
        from tests.schema.reference_reader import Label  # it reads these jobs

        row = self.tables.by_id("label", self.row["label_id"])
        return row and Label(self.tables, row)


class LeftOutLabel(Score):
    pass


class LabelEvaluation(Score):
    pass


class ConfusionCount(Thing):
    pass


class ThresholdEvaluation(Thing):
    pass
