"""`lg`: the client on the command line.

It ends with 0 if all is done, 1 if the server refused it or a job failed, 2 for wrong arguments, 3 if the server cannot
be reached, 4 if the token is not valid or not allowed to do it, and 5 if a part of the files or rows was refused.
"""

import argparse
import csv
import getpass
import json
import os
import sys
from collections import defaultdict
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any, Final

from labelgraph_client import config
from labelgraph_client._sync.client import Client
from labelgraph_client.errors import UNREACHABLE, LabelgraphError
from labelgraph_client.generated.enums import ExportFormat, ExportImages, ImportFormat, ImportImages, LabelingMode
from labelgraph_client.generated.input_types import LabelSamplesInput, SampleSelectionInput, SyncDatasetInput

DONE, REFUSED, UNREACHED, FORBIDDEN, PARTLY = 0, 1, 3, 4, 5
BATCH: Final = 1000  # samples that one mutation selects by their paths
SHOWN: Final = 20  # refused files or rows

Command = Callable[[Client, argparse.Namespace], int]


def main(arguments: list[str] | None = None) -> int:
    given = parser().parse_args(arguments)
    try:
        if given.command is None:
            return login(given)
        with Client(given.url, given.token, patience=given.patience) as client:
            run: Command = given.command
            return run(client, given)
    except LabelgraphError as error:
        say(str(error))
        if error.code in ("UNAUTHENTICATED", "FORBIDDEN"):
            return FORBIDDEN
        return UNREACHED if error.code == UNREACHABLE else REFUSED
    except BrokenPipeError:  # of `lg … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except (OSError, ValueError, csv.Error) as error:
        say(str(error))
        return REFUSED
    except KeyboardInterrupt:
        return 130


def parser() -> argparse.ArgumentParser:
    lg = argparse.ArgumentParser(prog="lg", description="Labelgraph on the command line.", epilog=__doc__)
    add_global_options(lg, url=None, token=None, patience=30.0)
    commands = lg.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, command: Command | None, what: str, dataset: bool = True) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=what, description=what)
        added.set_defaults(command=command)
        add_global_options(added)
        if dataset:
            added.add_argument("dataset", help="its name or id")
        return added

    signing = add("login", None, "check a token, and keep it for the other commands", dataset=False)
    signing.add_argument("server", help="such as http://127.0.0.1:8000; the token is read from the terminal or a pipe")
    add("datasets", list_datasets, "list the datasets", dataset=False)
    syncing = add("sync", sync, "read the files of the input path")
    syncing.add_argument("--dry-run", action="store_true", help="say what it would do, and do nothing")
    labelling = add("label", label, "label samples as a CSV file says")
    labelling.add_argument("file", type=Path, help="a line for each sample: path,label[,label…]")
    labelling.add_argument("--replace", action="store_true", help="replace the labels of these samples")
    uploading = add("upload", upload, "upload the images below a folder; started again, it goes on")
    uploading.add_argument("folder", type=Path)
    uploading.add_argument("--label", action="append", default=[], help="for all images; may be repeated")
    uploading.add_argument("--label-by-folder", action="store_true", help="the folder of an image is its label")
    exporting = add("export", export, "export into a folder; what is there already is not downloaded again")
    exporting.add_argument("format", type=str.upper, choices=[format.value for format in ExportFormat])
    exporting.add_argument("folder", type=Path)
    exporting.add_argument("--version", help="name of a version; default: the working set")
    exporting.add_argument("--images", type=str.upper, choices=[images.value for images in ExportImages])
    exporting.add_argument("--unpack", action="store_true", help="unpack zip archives into the folder, and delete them")
    importing = add("import", import_, "import labels from files, folders or archives")
    importing.add_argument("files", type=Path, nargs="+")
    importing.add_argument("--format", type=str.upper, choices=[format.value for format in ImportFormat])
    importing.add_argument("--store-images", action="store_true", help="bring the images that they contain")
    importing.add_argument("--dry-run", action="store_true", help="say what it would do, and do nothing")
    watching = add("watch", watch, "print what happens to a dataset, until it is deleted")
    watching.add_argument("--after", help="the cursor of an event, to see those behind it")
    watching.add_argument("--json", action="store_true", help="each event as JSON, with its cursor")
    return lg


def add_global_options(to: argparse.ArgumentParser, **defaults: Any) -> None:
    """They may stand before the command, whose parser has no defaults that would replace them, and behind it."""

    def default(name: str) -> Any:
        return defaults.get(name, argparse.SUPPRESS)

    to.add_argument("--url", default=default("url"), help="the server; default: LABELGRAPH_URL, or that of `lg login`")
    to.add_argument("--token", default=default("token"), help="default: LABELGRAPH_TOKEN, or that of `lg login`")
    patience = "seconds for which a server may be away (default: 30)"
    to.add_argument("--patience", type=float, default=default("patience"), help=patience)


def login(given: argparse.Namespace) -> int:
    token = given.token or os.environ.get("LABELGRAPH_TOKEN")
    if not token:
        token = getpass.getpass("Token: ") if sys.stdin.isatty() else sys.stdin.readline().strip()
    with Client(given.server, token, patience=given.patience) as client:
        viewer = client.viewer()
    path = config.save(given.server, token)
    print(f"Signed in as {viewer.name} ({viewer.scope}). The token is in {path}.")
    return DONE


def list_datasets(client: Client, given: argparse.Namespace) -> int:
    for dataset in client.datasets():
        counts = dataset.statistics
        print(dataset.id, dataset.name, dataset.type_, f"{counts.labeled_count}/{counts.total_count}", sep="\t")
    return DONE


def sync(client: Client, given: argparse.Namespace) -> int:
    request = SyncDatasetInput(dataset_id=client.dataset(given.dataset).id, dry_run=given.dry_run)
    job = client.wait(client.sync_dataset(request).job, progress=True)
    print_counts(job, "added", "updated", "moved", "removed", "skipped", "ignored")
    return DONE


def label(client: Client, given: argparse.Namespace) -> int:
    """Samples with the same labels are labelled together. What was labelled stays so if the command is stopped."""
    dataset = client.dataset(given.dataset).id
    changed, refused = 0, []
    for labels, lines in lines_of(given.file, without_labels=given.replace).items():
        for start in range(0, len(lines), BATCH):
            batch = dict(lines[start : start + BATCH])
            try:
                answer = client.label_samples(
                    LabelSamplesInput(
                        dataset_id=dataset,
                        select=SampleSelectionInput(paths=list(batch)),
                        labels=list(labels),
                        mode=LabelingMode.SET if given.replace else LabelingMode.ADD,
                        create_missing=True,
                    )
                )
            except LabelgraphError as error:
                if error.code != "INVALID_NAME":
                    raise
                refused += [(number, str(error)) for number in batch.values()]
                continue
            changed += answer.changed_count
            refused += [(batch.get(path, 0), f"{path}: there is no such sample") for path in answer.not_found_paths]
    print(f"changed: {changed}")
    return report([f"{given.file}:{number}: {why}" for number, why in sorted(refused)])


def lines_of(file: Path, *, without_labels: bool) -> dict[tuple[str, ...], list[tuple[str, int]]]:
    """By labels, the paths with the numbers of their lines."""
    lines: dict[tuple[str, ...], list[tuple[str, int]]] = defaultdict(list)
    with file.open(newline="", encoding="utf-8-sig") as opened:
        first = opened.readline()
        delimiter = next((each for each in ",;\t" if each in first), ",")  # spreadsheets write that of their language
        reader = csv.reader(chain([first], opened), delimiter=delimiter)
        for number, (path, *names) in ((reader.line_num, row) for row in reader if row):
            labels = tuple(name.strip() for name in names if name.strip())
            if not labels and not without_labels:
                raise ValueError(f"{file}:{number}: there is no label.")
            if number > 1 or (path, *names[:1]) != ("path", "label"):
                lines[labels].append((path, number))
    return lines


def upload(client: Client, given: argparse.Namespace) -> int:
    labels = (lambda path: [*given.label, path.parent.name]) if given.label_by_folder else given.label
    dataset = client.dataset(given.dataset)
    outcomes = client.upload_folder(dataset, given.folder, labels=labels, progress=True)
    for kind in ("uploaded", "existing", "refused"):
        print(f"{kind}: {sum(outcome.outcome == kind for outcome in outcomes)}")
    return report([f"{each.path}: {each.code}: {each.message}" for each in outcomes if each.outcome == "refused"])


def export(client: Client, given: argparse.Namespace) -> int:
    dataset = client.dataset(given.dataset)
    of = client.version(dataset, given.version) if given.version else dataset
    images = ExportImages(given.images) if given.images else None
    format = ExportFormat(given.format)
    for path in client.export(of, format, to=given.folder, images=images, unpack=given.unpack, progress=True):
        print(path)
    return DONE


def import_(client: Client, given: argparse.Namespace) -> int:
    options: dict[str, Any] = {"dry_run": given.dry_run}
    if given.format:
        options["format"] = ImportFormat(given.format)
    if given.store_images:
        options["images"] = ImportImages.STORE
    job = client.import_annotations(client.dataset(given.dataset), *given.files, progress=True, **options)
    print_counts(job, "matched", "added", "updated", "kept", "missing", "skipped")
    for notice in job.notices:
        say(f"{notice.kind}: {notice.count}, such as {notice.examples[0] if notice.examples else ''}")
    return PARTLY if job.missing_count or job.skipped_count else DONE


def watch(client: Client, given: argparse.Namespace) -> int:
    for event in client.follow(client.dataset(given.dataset), after=given.after):
        values = event.model_dump(mode="json", by_alias=True)
        if given.json:
            print(json.dumps(values, ensure_ascii=False), flush=True)
            continue
        about = values.get("change") or values.get("job") or values.get("version") or values
        name = values["__typename"].removesuffix("Event")
        what = values.get("status") or about.get("summary") or about.get("name")
        print(name, what, about.get("id"), sep="	", flush=True)
    return DONE


def print_counts(job: Any, *names: str) -> None:
    for name in names:
        print(f"{name}: {getattr(job, f'{name}_count')}")


def report(refused: list[str]) -> int:
    for line in refused[:SHOWN]:
        say(line)
    if len(refused) > SHOWN:
        say(f"and {len(refused) - SHOWN} more")
    return PARTLY if refused else DONE


def say(line: str) -> None:
    print(f"lg: {line}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
