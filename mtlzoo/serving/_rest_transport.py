"""The REST protocol from the client's side, over connections that are kept open."""

import base64
import http.client
import json
import queue
import time
import urllib.parse
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mtlzoo.serving._errors import Code, ServingError
from mtlzoo.serving._json import parse
from mtlzoo.serving._json._examples import Features
from mtlzoo.serving._json._tensors import decode_base64, is_base64
from mtlzoo.serving._signature import Signature, from_metadata
from mtlzoo.serving._transport import Target, VersionStatus


class RestTransport:
    """A `Transport` over HTTP; may be used by several threads."""

    def __init__(self, url: str) -> None:
        self._parts = urllib.parse.urlsplit(url)
        self._idle: queue.LifoQueue[http.client.HTTPConnection] = queue.LifoQueue()

    def predict(
        self,
        target: Target,
        signature: str,
        inputs: Mapping[str, Any],
        outputs: Mapping[str, str],
        timeout: float,
    ) -> dict[str, Any]:
        columns = {name: _to_json(array) for name, array in inputs.items()}
        body = {"signature_name": signature, "inputs": columns}
        answer = self._post(target, "predict", body, timeout)["outputs"]
        if not isinstance(answer, dict) or is_base64(answer):
            # Of a model with one output, the server leaves the name out.
            answer = dict.fromkeys(outputs, answer)
        return {name: _to_array(answer[name], outputs[name]) for name in outputs}

    def classify(
        self,
        target: Target,
        signature: str,
        examples: Sequence[Features],
        timeout: float,
    ) -> list[list[tuple[str, float]]]:
        body = _examples(signature, examples)
        results = self._post(target, "classify", body, timeout)["results"]
        return [[(label, float(score)) for label, score in row] for row in results]

    def regress(
        self,
        target: Target,
        signature: str,
        examples: Sequence[Features],
        timeout: float,
    ) -> list[float]:
        body = _examples(signature, examples)
        return list(self._post(target, "regress", body, timeout)["results"])

    def multi_inference(
        self,
        target: Target,
        tasks: Mapping[str, str],
        examples: Sequence[Features],
        timeout: float,
    ) -> dict[str, Any]:
        deadline = time.monotonic() + timeout
        found: dict[str, Any] = {}
        for name, method in tasks.items():
            ask = self.regress if method == "regress" else self.classify
            left = max(0.001, deadline - time.monotonic())
            found[name] = ask(target, name, examples, left)
        return found

    def signatures(self, target: Target, timeout: float) -> dict[str, Signature]:
        path = self._path(target) + "/metadata"
        return from_metadata(self._request("GET", path, None, timeout))

    def status(self, target: Target, timeout: float) -> list[VersionStatus]:
        found = self._request("GET", self._path(target), None, timeout)
        return [
            VersionStatus(
                int(one["version"]), one["state"], one["status"]["error_message"]
            )
            for one in found["model_version_status"]
        ]

    def close(self) -> None:
        while not self._idle.empty():
            self._idle.get_nowait().close()

    def _path(self, target: Target) -> str:
        path = f"/v1/models/{_quote(target.model)}"
        if target.version is not None:
            path += f"/versions/{target.version}"
        elif target.label is not None:
            path += f"/labels/{_quote(target.label)}"
        return self._parts.path.rstrip("/") + path

    def _post(self, target: Target, verb: str, body: Any, timeout: float) -> Any:
        content = json.dumps(body).encode()
        return self._request("POST", f"{self._path(target)}:{verb}", content, timeout)

    def _request(
        self, method: str, path: str, body: bytes | None, timeout: float
    ) -> Any:
        connection = self._connection(timeout)
        started = time.monotonic()
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            content = response.read()
        except TimeoutError as error:
            connection.close()
            raise ServingError(
                Code.DEADLINE_EXCEEDED,
                f"No answer within {time.monotonic() - started:.3g} s",
            ) from error
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise ServingError(
                Code.UNAVAILABLE, f"Can't reach {self._parts.netloc}: {error!r}"
            ) from error
        self._idle.put(connection)
        if response.status != Code.OK.http:
            raise ServingError(Code.from_http(response.status), _message(content))
        return parse(content)

    def _connection(self, timeout: float) -> http.client.HTTPConnection:
        try:
            connection = self._idle.get_nowait()
        except queue.Empty:
            secure = self._parts.scheme == "https"
            make = http.client.HTTPSConnection if secure else http.client.HTTPConnection
            return make(self._parts.netloc, timeout=timeout)
        connection.timeout = timeout
        if connection.sock is not None:
            connection.sock.settimeout(timeout)
        return connection


def _message(content: bytes) -> str:
    try:
        return str(parse(content)["error"])
    except (ServingError, KeyError, TypeError):
        return content[:500].decode("utf-8", "replace") or "no message"


def _to_json(array: Any) -> Any:
    if array.dtype != object:
        return array.tolist()
    flat = np.empty(array.size, object)
    flat[:] = [_bytes_to_json(one) for one in array.ravel()]
    return flat.reshape(array.shape).tolist()


def _bytes_to_json(value: bytes) -> Any:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"b64": base64.b64encode(value).decode()}


def _to_array(value: Any, dtype: str) -> Any:
    if dtype != "string":
        with np.errstate(over="ignore"):
            return np.array(value, np.float64 if dtype == "float32" else dtype).astype(
                dtype
            )
    return _strings(value)


def _strings(value: Any) -> Any:
    if isinstance(value, list):
        rows = [_strings(one) for one in value]
        array = np.empty((len(rows), *(rows[0].shape if rows else ())), object)
        for index, row in enumerate(rows):
            array[index] = row[()]
        return array
    if is_base64(value):
        return np.array(decode_base64(value), object)
    return np.array(value.encode("utf-8", "surrogateescape"), object)


def _examples(signature: str, examples: Sequence[Features]) -> dict[str, Any]:
    return {
        "signature_name": signature,
        "examples": [
            {
                name: [
                    _bytes_to_json(one) if isinstance(one, bytes) else one
                    for one in values
                ]
                for name, values in example.items()
            }
            for example in examples
        ],
    }


def _quote(name: str) -> str:
    return urllib.parse.quote(name, safe="")
