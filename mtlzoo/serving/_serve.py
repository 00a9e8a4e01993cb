import ipaddress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mtlzoo._extras import require
from mtlzoo.serving._errors import Code, ServingError

if TYPE_CHECKING:
    from mtlzoo.serving._server import Server


def serve(
    path: str | Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8501,
    grpc_port: int = 8500,
    max_batch_size: int = 0,
    poll_seconds: float = 1.0,
    drain_seconds: float = 10.0,
    timeout: float = 30.0,
    max_body: int = 64 << 20,
    max_requests: int = 1024,
    trust: bool = False,
    expose: bool = False,
    ui: bool = False,
) -> "Server":
    """Return a server for exported models, with TensorFlow Serving's two protocols.

    It is for development and continuous integration: one Python process that answers
    as `tensorflow_model_server` does. In production, run that one on the same folder.

    New versions are served as soon as they appear; the newest one counts. When it is
    deleted, the one before it is served again. A version that can't be loaded, or whose
    recorded warmup requests fail, leaves the old one serving.

    Args:
        path: a folder of versions as `mtlzoo.export.saved_model` writes, a folder of
            such folders, or a `models.config` file of TensorFlow Serving.
        host: the address to listen on.
        port: for REST; 0 takes a free one.
        grpc_port: for gRPC; 0 takes a free one.
        max_batch_size: rows of different requests that run together; 0 for none.
        poll_seconds: between two looks for new versions.
        drain_seconds: that requests at work have to end when the server stops.
        timeout: in seconds, of a request.
        max_body: bytes of a request.
        max_requests: at work at a time; more are turned away as UNAVAILABLE.
        trust: load models that read or write files, or call Python.
        expose: allow a `host` that other machines can reach. There is no password.
        ui: serve a page at `/` to try the models on.

    Returns:
        A `Server`; it runs within a `with` block.

    Raises:
        ServingError: nothing can be served there.
        MissingExtraError: the extra `serving` isn't installed.

    Example:

    ```python
    with mtlzoo.serving.serve("serving/income", port=0) as server:
        client = mtlzoo.serving.Client(server.url, "income")
        client.predict({"age": [39], "job": ["clerk"]})
    ```
    """
    for module in ("grpc", "starlette", "uvicorn", "tensorflow_serving.apis"):
        require(module, extra="serving", what="The server")
    if not expose and not _is_loopback(host):
        raise ServingError(
            Code.PERMISSION_DENIED,
            f"Everyone who reaches {host} could use the models, without a password. "
            "Allow that with expose=True (--expose), or listen on 127.0.0.1.",
        )
    from mtlzoo.serving._inference import Limits
    from mtlzoo.serving._server import Options, Server

    options: dict[str, Any] = {
        "host": host,
        "port": port,
        "grpc_port": grpc_port,
        "max_batch_size": max_batch_size,
        "poll_seconds": poll_seconds,
        "drain_seconds": drain_seconds,
        "trust": trust,
        "ui": ui,
    }
    limits = Limits(body=max_body, seconds=timeout, requests=max_requests)
    return Server(path, Options(**options, limits=limits))


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
