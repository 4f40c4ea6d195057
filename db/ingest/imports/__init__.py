"""Imports: what a manifest says goes into a dataset, so that what the reference system exported can be moved here.

    stage ──▶ inspect ──▶ merge
    COPY      images,     bounded batches, each a change
              files

The manifest is staged line by line first: only the whole of it shows which folder its images share, and which lines
name the same image. From there each batch carries its checkpoint, so an import that died goes on where it was. Done
twice, each stage ends as if done once.
"""

from db.ingest.imports.locations import folder_of, location_of
from db.ingest.imports.options import Options, label_names
from db.ingest.imports.reading import expect_manifest
from db.ingest.imports.stages import run
