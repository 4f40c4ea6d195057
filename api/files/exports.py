"""Files of exports, by signed URLs: for scripts, which resume a download where it broke off.

A file is saved, never shown: it may contain texts of anybody.
"""

from typing import Final
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api.files.serving import LINK_SECONDS, SAFE, answered, identify, number, open_store, part
from api.runtime import runtime
from db.exports.files import find_file

# The suffixes of exports; Python's own table differs between machines.
MEDIA_TYPES: Final = {
    ".csv": "text/csv; charset=utf-8",
    ".json": "application/json",
    ".jsonl": "application/x-ndjson",
    ".manifest": "application/x-ndjson",
    ".tar": "application/x-tar",
    ".xml": "application/xml",
    ".zip": "application/zip",
}
REASONS: Final = {
    403: "This URL is not valid (any more); read the job again for a new one.",
    404: "The file is not there (any more), or not as the export has written it; export again.",
    416: "The range begins behind the end of the file.",
    503: "The storage or the database cannot be reached; try again.",
}


async def get_export(request: Request) -> Response:
    """The endpoint of /exports/{file}."""
    return await answered(request, "/exports/{file}", _answer(request), REASONS)


async def _answer(request: Request) -> Response:
    process, file_id = runtime(request.scope), request.path_params["file"]
    identity, seconds = await identify(request, f"/exports/{file_id}")
    file = await find_file(process.database, number(file_id))
    if file is None or not identity.sees(file.dataset_id):
        raise HTTPException(404)
    store = open_store(request, file.location)
    name = file.name.rpartition("/")[2]
    media = MEDIA_TYPES.get(f".{name.rpartition('.')[2]}", "application/octet-stream")
    if request.method == "GET":
        valid = max(min(seconds, LINK_SECONDS), 1)
        link = await store.download_url(file.object, media=media, seconds=valid, name=name)
        if link is not None:
            return RedirectResponse(link, status_code=302, headers={**SAFE, "cache-control": "no-store"})
    stored = await store.stat(file.object)
    if stored is None or stored.size != file.size:  # in an output path, files are whoever's that may write there
        raise HTTPException(404)
    headers = {
        **SAFE,
        "etag": f'"{file.sha256}"',
        "accept-ranges": "bytes",
        "cache-control": "private, no-cache",
        "content-type": media,
        "content-disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}",
    }
    return await part(request, store, file.object, stored.size, headers)
