"""What generated classes are made of."""

from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol, Self

import pydantic
from pydantic.alias_generators import to_camel


class UnsetType:
    def __bool__(self) -> bool:
        return False


UNSET = UnsetType()


class BaseModel(pydantic.BaseModel):
    """An answer. What a newer server adds is ignored."""

    model_config = pydantic.ConfigDict(
        alias_generator=to_camel, populate_by_name=True, protected_namespaces=(), defer_build=True
    )


class InputModel(BaseModel):
    """An input. Fields that are not given are not sent."""

    model_config = pydantic.ConfigDict(arbitrary_types_allowed=True, extra="forbid")


class OpenEnum(StrEnum):
    """A newer server may have more values: they are kept as they come."""

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, str):
            return None
        member = str.__new__(cls, value)
        member._name_ = member._value_ = value
        return member


class Unknown(BaseModel):
    """An object of a type that only a newer server has."""

    model_config = pydantic.ConfigDict(extra="allow")

    typename__: str = pydantic.Field(validation_alias="__typename", serialization_alias="__typename")


class Upload:
    """A file that is sent with a request. No dataclass: pydantic would make a dict of it."""

    def __init__(self, filename: str, content: bytes, content_type: str = "application/octet-stream") -> None:
        self.filename = filename
        self.content = content
        self.content_type = content_type


class HasId(Protocol):
    @property
    def id(self) -> str: ...


def id_of(of: HasId | str) -> str:
    return of if isinstance(of, str) else of.id


def given(value: Any) -> Any:
    return UNSET if value is None else value


def to_json(value: Any, path: str, files: dict[str, Upload]) -> Any:
    """The value as JSON has it, with null for each file; the files by their paths."""
    match value:
        case pydantic.BaseModel():
            return to_json(value.model_dump(by_alias=True, exclude_unset=True), path, files)
        case dict():
            given = {name: item for name, item in value.items() if item is not UNSET}
            return {name: to_json(item, f"{path}.{name}", files) for name, item in given.items()}
        case list() | tuple():
            return [to_json(item, f"{path}.{index}", files) for index, item in enumerate(value)]
        case Upload():
            files[path] = value
            return None
        case datetime():
            return value.astimezone().isoformat()  # one without a time zone is local time
    return value
