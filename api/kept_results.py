"""Results of functions of what clients send again and again, as headers: kept, so that they are found once."""

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Concatenate, Final, ParamSpec, TypeVar

MAX_LENGTH: Final = 256  # of a text whose result is kept: a header may have 64 KiB, and thousands fill the memory

More = ParamSpec("More")
Result = TypeVar("Result")
OfText = Callable[Concatenate[str, More], Result]


def kept(number: int) -> Callable[[OfText[More, Result]], OfText[More, Result]]:
    """Keep the results of so many short texts, those that were needed last."""

    def decorate(function: OfText[More, Result]) -> OfText[More, Result]:
        found = lru_cache(maxsize=number)(function)

        @wraps(function)
        def find(text: str, /, *more: More.args, **named: More.kwargs) -> Result:
            return (found if len(text) <= MAX_LENGTH else function)(text, *more, **named)

        return find

    return decorate
