"""The files of an import as readers see them: one file, a folder or a prefix of a bucket, or a zip or tar archive that
is read where it is. Readers are functions of a thread; stores are asynchronous (`bridge`).

What is in an archive may have been made to do harm. Nothing is unpacked under a name; sizes are counted while they are
read; names that lead elsewhere, links and everything that is no file are passed over, and reported.
"""

from db.ingest.imports.files.opening import OpenedFiles, expect_files, open_files
from db.ingest.imports.files.source import SourceFiles
