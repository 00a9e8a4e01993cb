import random
import time
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self, TypeVar

import numpy as np

from mtlzoo._dtypes import as_fed
from mtlzoo._extras import require
from mtlzoo._registry import unknown_name
from mtlzoo.errors import DataError, UnknownNameError
from mtlzoo.serving._errors import Code, ServingError
from mtlzoo.serving._json._examples import Features
from mtlzoo.serving._signature import Signature
from mtlzoo.serving._transport import Target, Transport, VersionStatus

_FIRST_WAIT = 0.05  # seconds; doubled each time
_LONGEST_WAIT = 1.0

Result = TypeVar("Result")


class Client:
    """Calls a served model, over REST or gRPC alike.

    It works with `mtlzoo.serving.serve` and with `tensorflow_model_server`. One client
    may be used by several threads.

    When the server can't be reached, or has too much to do, the call is repeated after
    a while, longer each time and never quite the same, until `timeout` has passed. No
    other error is repeated.

    Args:
        url: `"http://host:8501"` for REST, `"grpc://host:8500"` for gRPC.
        model: the name of the model.
        version: its number, by default the newest.
        label: a name that the server has for a version, instead of `version`.
        timeout: in seconds, of a call with all its repetitions.
        retries: how often a call is repeated at most.

    Raises:
        DataError: `url` or the choice of version can't be.
        MissingExtraError: gRPC needs the extra `serving`.

    Example:

    ```python
    with mtlzoo.serving.Client("grpc://127.0.0.1:8500", "income") as client:
        client.predict({"age": [39], "job": ["clerk"]})    # {"income": array([[0.27]])}
    ```
    """

    def __init__(
        self,
        url: str,
        model: str,
        *,
        version: int | None = None,
        label: str | None = None,
        timeout: float = 10.0,
        retries: int = 5,
    ) -> None:
        if version is not None and label is not None:
            raise DataError(
                "`version` and `label` both choose a version; pass one of them. "
                f"Received: version={version!r}, label={label!r}."
            )
        self.url = url
        self._target = Target(model, version, label)
        self._timeout = timeout
        self._retries = retries
        self._transport = _transport(url)
        self._known: dict[str, Signature] | None = None

    def predict(
        self,
        inputs: Mapping[str, Any],
        *,
        signature: str = "serving_default",
        outputs: Sequence[str] | None = None,
    ) -> dict[str, Any]:
        """Return predictions by task, arrays of the types that the model gives.

        Args:
            inputs: values by input name, shape `(rows, ...)`, as `model.predict` takes
                them: lists, arrays or columns of a data frame. Bytes are sent as they
                are, for a picture as a file.
            signature: such as `"task_income"`, which computes that task alone.
            outputs: the tasks wanted, by default all.

        Raises:
            DataError: an input can't be of the type that the model takes.
            ServingError: what the server said, or that it can't be reached.
            UnknownNameError: there is no such signature or output.
        """
        definition = self._signature(signature)
        chosen = definition.outputs if outputs is None else outputs
        for name in chosen:
            if name not in definition.outputs:
                raise UnknownNameError(unknown_name("output", name, definition.outputs))
        wanted = {name: definition.outputs[name].dtype for name in chosen}
        arrays = {
            name: _to_array(
                name,
                value,
                definition.inputs[name].dtype if name in definition.inputs else None,
            )
            for name, value in inputs.items()
        }
        return self._call(
            lambda seconds: self._transport.predict(
                self._target, signature, arrays, wanted, seconds
            )
        )

    def classify(
        self, examples: Sequence[Mapping[str, Any]], *, signature: str
    ) -> list[list[tuple[str, float]]]:
        """Return labels with their scores, a list for each example.

        Args:
            examples: features by name, each a value or a list of them. A float stays
                one: write 1.0, not 1, for a feature of floats.
            signature: such as `"classify_income"`.

        Raises:
            ServingError: what the server said, or that it can't be reached.
        """
        features = [_features(one) for one in examples]
        return self._call(
            lambda seconds: self._transport.classify(
                self._target, signature, features, seconds
            )
        )

    def regress(self, examples: Sequence[Mapping[str, Any]], *, signature: str) -> Any:
        """Return an array with one value for each example; see `classify`.

        Raises:
            ServingError: what the server said, or that it can't be reached.
        """
        features = [_features(one) for one in examples]
        return np.array(
            self._call(
                lambda seconds: self._transport.regress(
                    self._target, signature, features, seconds
                )
            ),
            np.float32,
        )

    def multi_inference(
        self, examples: Sequence[Mapping[str, Any]], *, signatures: Sequence[str]
    ) -> dict[str, Any]:
        """Return what several signatures say of the same examples, by signature.

        Each entry is as `classify` or `regress` return it. Over gRPC the server runs
        the model once for all of them; REST has no such call, so there each signature
        is asked by itself.

        Args:
            examples: as for `classify`.
            signatures: such as `["classify_income", "regress_hours"]`.

        Raises:
            ServingError: what the server said, or that it can't be reached.
            UnknownNameError: there is no such signature.
        """
        features = [_features(one) for one in examples]
        tasks = {name: self._signature(name).method for name in signatures}
        found = self._call(
            lambda seconds: self._transport.multi_inference(
                self._target, tasks, features, seconds
            )
        )
        return {
            name: np.array(answer, np.float32) if tasks[name] == "regress" else answer
            for name, answer in found.items()
        }

    def signatures(self) -> dict[str, Signature]:
        """Return what the model takes and gives, by signature.

        Raises:
            ServingError: what the server said, or that it can't be reached.
        """
        found = self._call(
            lambda seconds: self._transport.signatures(self._target, seconds)
        )
        self._known = found
        return found

    def status(self) -> list[VersionStatus]:
        """Return the state of the model's versions, newest first.

        Raises:
            ServingError: what the server said, or that it can't be reached.
        """
        return self._call(lambda seconds: self._transport.status(self._target, seconds))

    def close(self) -> None:
        """Let go of the connections."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Client({self.url!r}, {self._target.model!r})"

    def _signature(self, name: str) -> Signature:
        known = self._known
        if known is None or name not in known:  # a new version may have it
            known = self.signatures()
        if name not in known:
            raise UnknownNameError(unknown_name("signature", name, known))
        return known[name]

    def _call(self, call: Callable[[float], Result]) -> Result:
        deadline = time.monotonic() + self._timeout
        for attempt in range(self._retries + 1):
            try:
                return call(max(0.001, deadline - time.monotonic()))
            except ServingError as error:
                # All clients of a server that comes back would meet at its door again
                # if they waited equally long.
                limit = min(_LONGEST_WAIT, _FIRST_WAIT * 2**attempt)
                wait = random.uniform(limit / 2, limit)
                if (
                    error.status is not Code.UNAVAILABLE
                    or attempt == self._retries
                    or time.monotonic() + wait > deadline
                ):
                    raise
            time.sleep(wait)
        raise AssertionError("the last attempt returns or raises")


def _transport(url: str) -> Transport:
    parts = urllib.parse.urlsplit(url)
    if parts.netloc and parts.scheme in ("http", "https"):
        from mtlzoo.serving._rest_transport import RestTransport

        return RestTransport(url)
    if parts.netloc and parts.scheme == "grpc":
        for module in ("grpc", "tensorflow_serving.apis"):
            require(module, extra="serving", what="The gRPC client")
        from mtlzoo.serving._grpc_transport import GrpcTransport

        return GrpcTransport(parts.netloc)
    raise DataError(
        "`url` must be such as 'http://127.0.0.1:8501' or 'grpc://127.0.0.1:8500'. "
        f"Received: {url!r}."
    )


def _to_array(name: str, value: Any, dtype: str | None) -> Any:
    if dtype is None:  # no input of the model, which is for the server to say
        value = np.asarray(value)
        dtype = "string" if value.dtype.kind in "OSU" else value.dtype.name
    return as_fed(value, dtype, f"Input {name!r}")


def _features(example: Mapping[str, Any]) -> Features:
    found: Features = {}
    for name, value in example.items():
        values = np.asarray(value).ravel().tolist()
        if isinstance(value, bytes):
            values = [value]  # NumPy's own bytes lose the zeros at the end
        found[name] = [one.encode() if isinstance(one, str) else one for one in values]
    return found
