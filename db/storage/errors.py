"""How a store fails. Other failures are plain StorageErrors."""

from db.errors import AlreadyExists, Conflict, StorageError


class RootMissing(StorageError):
    """The store itself cannot be reached, so nothing can be said about its objects."""

    def __init__(self, message: str = "The input path does not exist, or the server may not read it.") -> None:
        super().__init__(message)


class ObjectMissing(StorageError):
    """The object is not there."""

    def __init__(self) -> None:
        super().__init__("The file no longer exists.")


class ObjectChanged(Conflict):
    """The object's content is another by now; it was left alone."""

    message = "The file was replaced in the meantime, and is kept."

    def __init__(self) -> None:
        super().__init__(self.message)


class ObjectExists(AlreadyExists):
    """There is an object under this path already."""

    code = "SAMPLE_ALREADY_EXISTS"

    def __init__(self) -> None:
        super().__init__("A file with this name already exists.")
