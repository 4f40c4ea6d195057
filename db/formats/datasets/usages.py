"""Names that say a usage: of folders, files and splits. Formats write some of them, and readers know these."""

import re
from typing import Any, Final

from db.formats.datasets.reading import Usage

USAGES: Final[dict[str, Usage]] = {
    **dict.fromkeys(("train", "training", "trainval"), "TRAIN"),
    **dict.fromkeys(("val", "valid", "validation", "eval", "evaluation", "dev"), "EVAL"),
    **dict.fromkeys(("test", "testing"), "TEST"),
    **dict.fromkeys(("inference", "predict"), "INFERENCE"),
}
USAGE: Final = re.compile(rf"(?<![a-z])({'|'.join(sorted(USAGES, key=len, reverse=True))})(?:[0-9]{{4}})?(?![a-z])")


def of_name(value: Any) -> Usage | None:
    """Of a name such as `train` or `val2017`."""
    return USAGES.get(value.strip().lower()) if isinstance(value, str) else None


def in_path(path: str) -> Usage | None:
    """What the last part of a path that names one says: of `coco/annotations/instances_val2017.json` EVAL."""
    for part in reversed(path.lower().split("/")):
        found = USAGE.findall(part)
        if found:
            return USAGES[found[-1]]
    return None
