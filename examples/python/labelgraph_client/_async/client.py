"""Files to the server and from it: uploads, imports, exports."""

import asyncio
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import httpx

from labelgraph_client._async.reading import AsyncReading
from labelgraph_client.base import HasId, Upload, id_of
from labelgraph_client.concurrency import map_async
from labelgraph_client.errors import BAD_ANSWER, Attempts, LabelgraphError, check
from labelgraph_client.files import (
    Labels,
    PlannedUpload,
    UploadOutcome,
    images_in,
    is_whole,
    packed,
    part_of,
    plan,
    sha256_of,
    target_of,
    unpacked,
)
from labelgraph_client.generated.enums import ExportFormat, ExportImages, UploadConflict
from labelgraph_client.generated.fragments import (
    ExportFile,
    ExportJob,
    ImportJob,
    ItemError,
    RequestedUpload,
    Sample,
    UploadPart,
    Version,
)
from labelgraph_client.generated.input_types import (
    CompleteUploadsInput,
    ExportDatasetInput,
    ExportOptionsInput,
    ImportAnnotationsInput,
    RequestImportUploadInput,
    RequestUploadsInput,
    SampleFilter,
    UploadInput,
    UploadSamplesInput,
)
from labelgraph_client.progress import Progress, reporter

if TYPE_CHECKING:
    import pandas

REQUEST_FILES: Final = 100  # files that one request may have
BATCH: Final = 200  # uploads that are completed at once


class AsyncClient(AsyncReading):
    async def upload_folder(
        self,
        dataset: HasId | str,
        folder: Path | str,
        *,
        labels: Labels = (),
        at_once: int = 8,
        progress: Progress | bool = False,
    ) -> list[UploadOutcome]:
        """Uploads the images below a folder. Started again, it goes on, and says which images exist already.

        `labels` are those of all images, or a function that names those of a path, such as
        `lambda path: [path.parent.name]`.
        """
        root = Path(folder)
        return await self.upload_files(
            dataset, images_in(root), root=root, labels=labels, at_once=at_once, progress=progress
        )

    async def upload_files(
        self,
        dataset: HasId | str,
        paths: Iterable[Path | str],
        *,
        root: Path | str | None = None,
        labels: Labels = (),
        at_once: int = 8,
        progress: Progress | bool = False,
    ) -> list[UploadOutcome]:
        """A file has the same name in the dataset; of several with one name, each gets its folders below `root`."""
        files = [Path(path) for path in paths]
        if not files:
            return []
        show = reporter(progress)
        planned = plan(files, labels, Path(root or os.path.commonpath([path.parent for path in files])))
        most = (await self.server_info()).upload_limits.max_request_bytes
        is_small = len(planned) <= REQUEST_FILES and sum(file.size for file in planned) <= most
        if is_small and not callable(labels):
            return await self._upload_with_request(id_of(dataset), planned)
        outcomes: list[UploadOutcome] = []
        for start in range(0, len(planned), BATCH):
            show("uploading", start / len(planned))
            outcomes += await self._upload_to_storage(id_of(dataset), planned[start : start + BATCH], at_once)
        show("uploading", 1)
        return outcomes

    async def _upload_with_request(self, dataset: str, files: list[PlannedUpload]) -> list[UploadOutcome]:
        answer = await self.upload_samples(
            UploadSamplesInput(
                dataset_id=dataset,
                files=[Upload(file.name, file.path.read_bytes()) for file in files],
                labels=files[0].labels,
                create_missing=True,
            )
        )
        return [
            outcome_of(file, result.sample, result.error) for file, result in zip(files, answer.results, strict=True)
        ]

    async def _upload_to_storage(self, dataset: str, files: list[PlannedUpload], at_once: int) -> list[UploadOutcome]:
        """Each file by its key: what an earlier call has uploaded is not uploaded again."""
        by_key = {file.key(): file for file in files}
        uploads = [
            UploadInput(key=key, file_name=file.name, size=file.size, labels=file.labels)
            for key, file in by_key.items()
        ]
        request = RequestUploadsInput(
            dataset_id=dataset, files=uploads, create_missing=True, on_conflict=UploadConflict.ERROR
        )
        requested = (await self.request_uploads(request)).results
        outcomes = {
            result.key: outcome_of(by_key[result.key], result.sample, result.error, is_new=False)
            for result in requested
            if not result.url
        }

        async def carry(result: RequestedUpload) -> None:
            headers = {header.name: header.value for header in result.headers}
            await self.put(result.url or "", result.method, headers, by_key[result.key].path.read_bytes())

        open_uploads = [result for result in requested if result.url]
        await map_async(carry, open_uploads, at_once)
        if open_uploads:
            keys = [result.key for result in open_uploads]
            completed = await self.complete_uploads(CompleteUploadsInput(dataset_id=dataset, keys=keys))
            outcomes |= {
                result.key: outcome_of(by_key[result.key], result.sample, result.error) for result in completed.results
            }
        return list(map(outcomes.__getitem__, by_key))

    async def import_annotations(
        self,
        dataset: HasId | str,
        *paths: Path | str,
        at_once: int = 4,
        progress: Progress | bool = False,
        **options: Any,
    ) -> ImportJob:
        """Imports local files or folders; of several an archive is made. The job is returned when it has succeeded.

        `options` are fields of `ImportAnnotationsInput`, such as `format`, `images` and `dry_run`. For files that the
        server can read give `path` instead of files.
        """
        if not paths:
            started = await self.start_import(ImportAnnotationsInput(dataset_id=id_of(dataset), **options))
            return await self.wait(started.job, progress=progress)
        show = reporter(progress)
        with packed([Path(path) for path in paths]) as file:
            key = await self._upload_parts(id_of(dataset), file, at_once, show)
        request = ImportAnnotationsInput(dataset_id=id_of(dataset), upload_key=key, **options)
        return await self.wait((await self.start_import(request)).job, progress=progress)

    async def _upload_parts(self, dataset: str, file: Path, at_once: int, show: Progress) -> str:
        """Uploads the parts that are missing on the server. Returns the key of the upload."""
        key = f"{sha256_of(file)} {file.name}"[:200]
        request = RequestImportUploadInput(dataset_id=dataset, key=key, file_name=file.name, size=file.stat().st_size)

        async def carry(part: UploadPart) -> None:
            headers = {header.name: header.value for header in part.headers}
            await self.put(part.url, part.method, headers, part_of(file, int(part.offset), part.size))

        while missing := (await self.request_import_upload(request)).missing_parts:
            show("uploading", missing[0].offset / request.size)
            await map_async(carry, missing, at_once)
        show("uploading", 1)
        return key

    async def export(
        self,
        of: HasId | str,
        format: ExportFormat,
        *,
        to: Path | str,
        filter: SampleFilter | None = None,
        images: ExportImages | None = None,
        options: ExportOptionsInput | None = None,
        unpack: bool = False,
        at_once: int = 4,
        progress: Progress | bool = False,
    ) -> list[Path]:
        """Exports a dataset, or a `Version`, and downloads the files into a folder. Returns their paths.

        With `unpack` zip archives are unpacked into the folder and deleted, and the paths are those of their files.
        """
        dataset, version = (of.dataset.id, of.id) if isinstance(of, Version) else (id_of(of), None)
        optional: dict[str, Any] = {"version_id": version, "filter": filter, "images": images, "options": options}
        request = ExportDatasetInput(
            dataset_id=dataset,
            format=format,
            **{name: value for name, value in optional.items() if value is not None},
        )
        job = await self.wait((await self.start_export(request)).job, progress=progress)
        paths = await self.download_export(job, to, at_once=at_once, progress=progress)
        return [file for path in paths for file in unpacked(path)] if unpack else paths

    async def download_export(
        self, job: ExportJob, to: Path | str, *, at_once: int = 4, progress: Progress | bool = False
    ) -> list[Path]:
        """Each file is whole, and its checksum right, when it has its name. What was begun earlier is continued."""
        show = reporter(progress)
        done: list[float] = []

        async def fetch(file: ExportFile) -> Path:
            target = target_of(Path(to), file.name)
            if not is_whole(target, file.sha_256):
                now = await self.wait(job)  # URLs work for an hour
                await self._download(next(each for each in now.files if each.name == file.name), target)
            done.append(file.size)
            show("downloading", min(sum(done) / (sum(each.size for each in job.files) or 1), 1))
            return target

        return await map_async(fetch, job.files, at_once)

    async def _download(self, file: ExportFile, target: Path) -> None:
        part = target.with_name(f"{target.name}.part")
        attempts = Attempts(self.patience)
        while True:
            begun = part.stat().st_size if part.exists() else 0
            headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={begun}-"} if begun else {})
            try:
                if begun < file.size:
                    async with self._http.stream("GET", self.absolute(file.url), headers=headers) as response:
                        check(response)
                        with part.open("ab" if response.status_code == 206 else "wb") as opened:
                            async for chunk in response.aiter_bytes():
                                opened.write(chunk)
                if is_whole(part, file.sha_256):
                    part.replace(target)
                    return
                part.unlink(missing_ok=True)
                if not begun:
                    raise LabelgraphError(f"{file.name} is not what the server exported.", BAD_ANSWER)
            except (httpx.RequestError, LabelgraphError) as error:
                await asyncio.sleep(attempts.pause(error))

    async def to_pandas(
        self,
        of: HasId | str,
        *,
        filter: SampleFilter | None = None,
        rows: Literal["samples", "annotations"] = "samples",
    ) -> "pandas.DataFrame":
        """A row for each sample of a dataset or version, or for each annotation. Needs the extra `pandas`."""
        from labelgraph_client import frames

        found: list[Sample] = []
        async for sample in self.samples(of, filter=filter):
            found.append(sample)  # noqa: PERF401
        return frames.frame(found, rows)


def outcome_of(
    file: PlannedUpload, sample: HasId | None, error: ItemError | None, *, is_new: bool = True
) -> UploadOutcome:
    if sample:
        return UploadOutcome(file.path, "uploaded" if is_new else "existing", sample.id)
    assert error
    outcome: Literal["existing", "refused"] = "existing" if error.code == "SAMPLE_ALREADY_EXISTS" else "refused"
    return UploadOutcome(file.path, outcome, code=error.code, message=error.message)
