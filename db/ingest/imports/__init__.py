"""Imports: what a manifest, or files of other tools, say goes into a dataset.

    stage ──▶ inspect ──▶ merge
    COPY      images,     bounded batches, each a change
              files

What is read is staged image by image first: only the whole of it shows which folder the images of a manifest share,
which names are the only ones of their kind, and which lines name the same image. From there each batch carries its
checkpoint, so an import that died goes on where it was. Done twice, each stage ends as if done once.

manifest_lines, label_files, reading, entries   a manifest: images from anywhere, which are copied
files, formats, records, record_entries         any other format: images of the dataset, or of its folder
stages                                          from the first stage to the last
"""

from db.ingest.imports.files import expect_files
from db.ingest.imports.locations import folder_of, location_of
from db.ingest.imports.options import MANIFEST, Options, label_names, mapped_names, upload_path
from db.ingest.imports.reading import expect_manifest
from db.ingest.imports.stages import run
