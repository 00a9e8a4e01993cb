"""The REST interface: paths, bodies and statuses as TensorFlow Serving has them."""

import dataclasses
import json
import re
import urllib.parse
import zlib
from typing import Any

import tensorflow as tf
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from mtlzoo.serving import _examples, _json
from mtlzoo.serving._errors import Code, ServingError, invalid
from mtlzoo.serving._inference import Inference
from mtlzoo.serving._log import log
from mtlzoo.serving._metadata import metadata_json, status_json
from mtlzoo.serving._metrics import PATH as METRICS_PATH
from mtlzoo.serving._models import Spec
from mtlzoo.serving._plans import DEFAULT
from mtlzoo.serving._servable import Servable

INLINE = 1 << 16
"""Bytes of a body that the event loop reads itself; a larger one goes to a thread."""

_WHICH = r"(?:(?:/versions/(\d+))|(?:/labels/([^/:]+)))?"
_POST = re.compile(
    rf"/v1/models/([^/:]+){_WHICH}:(classify|regress|predict)", re.ASCII | re.IGNORECASE
)
_GET = re.compile(
    rf"/v1/models(?:/([^/:]+))?{_WHICH}(?:/(metadata))?", re.ASCII | re.IGNORECASE
)
_MAX_VERSION = 2**63 - 1
_NOT_FOUND = (
    b"<HTML><HEAD>\n<TITLE>404 Not Found</TITLE>\n</HEAD><BODY>\n"
    b"<H1>Not Found</H1>\n</BODY></HTML>\n"
)
_METHODS = {"predict": "Predict", "classify": "Classify", "regress": "Regress"}


class Rest:
    """An ASGI application for `/v1/...`."""

    def __init__(self, inference: Inference) -> None:
        self._inference = inference
        self._models = inference.models

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            response = await self._answer(request)
        except ServingError as error:
            response = _error(error)
        except ClientDisconnect:
            return
        except Exception:
            log.exception("A request failed in the server itself")
            response = _error(ServingError(Code.INTERNAL, "The server failed"))
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        # The path as it was sent: a name may hold what separates it, percent-encoded.
        path = request.scope.get("raw_path", b"").decode("latin-1").partition("?")[0]
        if path == METRICS_PATH and request.method == "GET":
            return Response(self._inference.metrics.text(), media_type="text/plain")
        if path[:4].lower() != "/v1/":
            return Response(_NOT_FOUND, 404, media_type="text/html")
        if request.method == "OPTIONS":
            origin = request.headers.get("origin", "")
            return Response(status_code=200 if re.match("https?://", origin) else 400)
        post, get = _POST.fullmatch(path), _GET.fullmatch(path)
        if request.method == "POST" and post and post[4] in _METHODS:
            return await self._post(request, post)
        if request.method == "GET" and get:
            return self._get(get)
        raise invalid(f"Malformed request: {request.method} {path}")

    def _get(self, found: re.Match[str]) -> Response:
        if found[1] is None:
            raise invalid("Missing model name in request.")
        spec = _spec(found)
        if spec is None:
            return Response(status_code=400)
        if found[4]:
            with self._models.use(spec) as servable:
                return _json_response(metadata_json(servable))
        return _json_response(status_json(self._models.status(spec.name, spec.version)))

    async def _post(self, request: Request, found: re.Match[str]) -> Response:
        spec = _spec(found)
        if spec is None:
            return Response(status_code=400)
        method = found[4]
        async with self._inference.admitted(_METHODS[method], "REST") as admitted:
            admitted.model = spec.name
            body = await self._body(request)
            if method == "predict":
                content = await self._predict(spec, body)
            else:
                content = await self._examples(spec, body, method)
        return Response(content, media_type="application/json")

    async def _predict(self, spec: Spec, body: bytes) -> bytes:
        request = await self._inference.off_loop(
            len(body) > INLINE, _json.read_predict, body
        )
        with self._models.use(spec) as servable:
            dtypes = _input_types(servable, request.signature)
            inputs = await self._inference.off_loop(
                len(body) > INLINE, _json.read_tensors, request, dtypes
            )
            answer = await self._inference.predict(servable, request.signature, inputs)
        size = sum(array.size for array in answer.outputs.values())
        return await self._inference.off_loop(
            size > INLINE // 16,
            lambda: _json.predict_response(answer.outputs, by_rows=request.by_rows),
        )

    async def _examples(self, spec: Spec, body: bytes, method: str) -> bytes:
        request = await self._inference.off_loop(
            len(body) > INLINE, _json.read_examples, body
        )
        spec = dataclasses.replace(spec, signature=request.signature)
        examples = _examples.from_json(request)
        if method == "classify":
            answer = await self._inference.classify(spec, examples)
            return _json.classify_response(answer.outputs["results"])
        answer = await self._inference.regress(spec, examples)
        return _json.regress_response(answer.outputs["results"])

    async def _body(self, request: Request) -> bytes:
        limit = self._inference.limits.body
        packed = "gzip" in request.headers.get("content-encoding", "")
        unpack = zlib.decompressobj(wbits=31) if packed else None
        found = bytearray()
        async for chunk in request.stream():
            if unpack is not None:
                try:
                    chunk = unpack.decompress(chunk, limit + 1 - len(found))
                except zlib.error as error:
                    raise invalid(f"The body is no gzip: {error}") from error
            found += chunk
            if len(found) > limit:
                raise ServingError(
                    Code.RESOURCE_EXHAUSTED,
                    f"The body has more than {limit} bytes, which is all the server "
                    "takes",
                )
        if unpack is not None and not unpack.eof:
            raise invalid("The body is no whole gzip")
        return bytes(found)


def _spec(found: re.Match[str]) -> Spec | None:
    """Return which model a path is for, `None` where 64 bits can't hold the version."""
    version = int(found[2]) if found[2] else None
    if version is not None and version > _MAX_VERSION:
        return None
    label = urllib.parse.unquote(found[3]) if found[3] else None
    return Spec(urllib.parse.unquote(found[1]), version, label)


def _input_types(servable: Servable, signature: str) -> dict[str, str]:
    name = signature or DEFAULT
    if name not in servable.signatures:
        raise invalid(f'Serving signature name: "{name}" not found in signature def')
    inputs = servable.signatures[name].inputs
    if not inputs:
        raise invalid(f"Failed to get input map for signature: {name}")
    return {alias: tf.as_dtype(info.dtype).name for alias, info in inputs.items()}


def _json_response(data: Any) -> Response:
    return Response(json.dumps(data), media_type="application/json")


def _error(error: ServingError) -> Response:
    return Response(
        _json.error_response(error.message),
        error.status.http,
        media_type="application/json",
    )
