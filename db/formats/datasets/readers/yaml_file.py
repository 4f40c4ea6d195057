"""A small file of YAML: maps, lists and texts. Aliases are refused, as a few could stand for a billion values."""

from typing import Any, Final

import yaml

from db.errors import Invalid
from db.formats.datasets.reading import Files, opened
from db.formats.sidecars.content import decoded

MAX_BYTES: Final = 1024 * 1024


class _Loader(yaml.BaseLoader):
    """All scalars are texts: `no` is the name of a class, not a truth."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError
        return super().compose_node(parent, index)


def read_yaml(files: Files, name: str) -> Any:
    """Raises Invalid."""
    with opened(files, name) as file:
        data = file.read(MAX_BYTES + 1)
    text = decoded(data) if len(data) <= MAX_BYTES else None
    if text is None:
        raise Invalid(f"{name} is not YAML of at most {MAX_BYTES // 1024 // 1024} MiB in UTF-8.")
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506, it makes nothing but texts, lists and maps
    except (yaml.YAMLError, RecursionError, ValueError):
        raise Invalid(f"{name} is not YAML that can be read; aliases and more than one document are not.") from None
