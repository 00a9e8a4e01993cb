"""Errors as both protocols have them: a status code by name, and a message."""

import enum
from typing import Any

from mtlzoo.errors import MTLZooError


class Code(enum.Enum):
    """Status codes: the number in gRPC, and the HTTP status that stands for it."""

    OK = (0, 200)
    CANCELLED = (1, 499)
    UNKNOWN = (2, 500)
    INVALID_ARGUMENT = (3, 400)
    DEADLINE_EXCEEDED = (4, 504)
    NOT_FOUND = (5, 404)
    ALREADY_EXISTS = (6, 409)
    PERMISSION_DENIED = (7, 403)
    RESOURCE_EXHAUSTED = (8, 429)
    FAILED_PRECONDITION = (9, 400)
    ABORTED = (10, 409)
    OUT_OF_RANGE = (11, 400)
    UNIMPLEMENTED = (12, 501)
    INTERNAL = (13, 500)
    UNAVAILABLE = (14, 503)
    DATA_LOSS = (15, 500)
    UNAUTHENTICATED = (16, 401)

    @property
    def number(self) -> int:
        return self.value[0]

    @property
    def http(self) -> int:
        return self.value[1]

    @classmethod
    def from_number(cls, number: int) -> "Code":
        return next((one for one in cls if one.number == number), cls.UNKNOWN)

    @classmethod
    def from_http(cls, status: int) -> "Code":
        """Return the first code of an HTTP status; several share some of them."""
        return next((one for one in cls if one.http == status), cls.UNKNOWN)


class ServingError(MTLZooError, RuntimeError):
    """A request that failed, or a model that can't be served.

    Attributes:
        code: the name of the status, such as `"INVALID_ARGUMENT"`; the same in both
            protocols but where HTTP has fewer.
        message: what the server says.
    """

    def __init__(self, code: Code | str, message: str) -> None:
        super().__init__(message)
        self.status = Code[code] if isinstance(code, str) else code
        self.message = message

    @property
    def code(self) -> str:
        return self.status.name

    def __reduce__(self) -> Any:
        return type(self), (self.code, self.message)


def invalid(message: str) -> ServingError:
    """Return the error for a request that can't be right."""
    return ServingError(Code.INVALID_ARGUMENT, message)


def from_tensorflow(error: Any) -> ServingError:
    """Return TensorFlow's error as the server passes it on.

    Python adds where in the program the operation was made; the server has no program.
    """
    message = (error.message or "").split("\n\nOriginal stack trace", 1)[0]
    return ServingError(Code.from_number(error.error_code), message)
