# ruff: noqa: N802 - methods have the public names of fields
"""Jobs, as the reference reader reads them."""

from typing import Any

from tests.schema.reference_lists import paged
from tests.schema.reference_things import Row, Tables, Thing, moment, public_name


class JobWarning(Thing):
    pass


class IgnoredFiles(Thing):
    pass


class SyncExamples(Thing):
    pass


class ImportedLabel(Thing):
    pass


class ImportNotice(Thing):
    pass


class SyncJob(Thing):
    def dataset(self, _info: Any) -> Any:
        return self.tables.dataset(self.row["dataset_id"])

    def error(self, _info: Any) -> Any:
        if self.row["error_code"] is None:
            return None
        return {"code": self.row["error_code"], "message": self.row["error_message"]}

    def ignoredFiles(self, _info: Any) -> Any:
        return [IgnoredFiles(self.tables, row) for row in self.tables.having("ignored_files", job_id=self.row["id"])]

    def examples(self, _info: Any) -> Any:
        return [SyncExamples(self.tables, row) for row in self.tables.having("sync_example", job_id=self.row["id"])]

    def warnings(self, _info: Any, **page: Any) -> Any:
        rows = self.tables.having("job_warning", job_id=self.row["id"])
        return paged(
            self.tables, "warning", rows, lambda row: row["id"], False, lambda row: JobWarning(self.tables, row), page
        )


class ImportJob(SyncJob):
    def readCount(self, _info: Any) -> Any:
        return self.row["scanned"]

    def sourceFormat(self, _info: Any) -> Any:
        return self.row["format"]

    def outOfBoundsCount(self, _info: Any) -> Any:
        return self.row["beyond"]

    def newLabels(self, _info: Any) -> Any:
        return [ImportedLabel(self.tables, row) for row in self.tables.having("import_label", job_id=self.row["id"])]

    def notices(self, _info: Any) -> Any:
        return [ImportNotice(self.tables, row) for row in self.tables.having("import_notice", job_id=self.row["id"])]


class ExportJob(SyncJob):
    def __init__(self, tables: Tables, row: Row) -> None:
        super().__init__(tables, row)
        [self.export] = tables.having("export", job_id=row["id"])
        self.version = None
        self.exportedCount = row["scanned"]
        for name in ("format", "images", "packing", "revision"):
            setattr(self, name, self.export[name])
        self.expiresAt = moment(self.export["expires_at"])
        self.location = None if self.export["is_temporary"] else self.export["location"]

    def files(self, _info: Any) -> Any:
        rows = self.tables.having("export_file", job_id=self.row["id"]) if self.row["status"] == "SUCCEEDED" else []
        return [ExportFile(self.tables, row) for row in sorted(rows, key=lambda row: row["id"])]

    def summary(self, _info: Any) -> Any:
        names = ("image", "annotation", "left_out", "missing")
        counts = {public_name(f"{name}_count"): self.export[f"{name}_count"] for name in names}
        return None if self.export["image_count"] is None else counts | {"size": self.export["total_size"]}


class ExportFile(Thing):
    def name(self, _info: Any) -> str:
        return str(self.row["path"])

    def url(self, _info: Any) -> str:
        return self.tables.links.signed(f"/exports/{self.row['id']}")
