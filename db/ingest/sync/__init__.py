"""Sync: merging a dataset's working set with the files in its input path.

    list ──▶ plan ──▶ confirm ──▶ inspect ──▶ move ──▶ merge ──▶ remove
    COPY     one      what van-   what may     one      bounded   one change,
             pass     ished       have moved   change   batches   undoable

Each arrow is a checkpoint in the job's row, so a sync that died goes on where it was; and each stage, done twice,
ends as if done once.
"""

from db.ingest.sync.options import Options
from db.ingest.sync.stages import run
