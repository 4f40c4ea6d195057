"""The type of arrays, written so that it can be checked without NumPy, too."""

from typing import Any, TypeAlias

from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
