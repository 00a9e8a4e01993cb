"""One process with both protocols, its models, and a clean end."""

import asyncio
import contextlib
import dataclasses
import functools
import signal
import socket
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import grpc
import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Mount, Route

from mtlzoo.serving._config import ModelConfig, read_config
from mtlzoo.serving._errors import Code, ServingError
from mtlzoo.serving._grpc import Grpc
from mtlzoo.serving._inference import Inference, Limits
from mtlzoo.serving._log import log
from mtlzoo.serving._metrics import Metrics
from mtlzoo.serving._models import Models
from mtlzoo.serving._rest import Rest
from mtlzoo.serving._runner import Runner
from mtlzoo.serving._servable import Servable
from mtlzoo.serving._warmup import warm_up


@dataclasses.dataclass(frozen=True)
class Options:
    """How a server runs; `serve` explains each."""

    host: str = "127.0.0.1"
    port: int = 8501
    grpc_port: int = 8500
    max_batch_size: int = 0
    poll_seconds: float = 1.0
    drain_seconds: float = 10.0
    trust: bool = False
    ui: bool = False
    limits: Limits = dataclasses.field(default_factory=Limits)


class Running:
    """A server within an event loop."""

    def __init__(self, configs: Sequence[ModelConfig], options: Options) -> None:
        self._options = options
        self._configs = configs
        self.models = Models(functools.partial(_load, options))
        self._runner = Runner(options.max_batch_size)
        self._inference = Inference(
            self.models, self._runner, Metrics(), options.limits
        )
        self._grpc = Grpc(self._inference)
        self.application = Starlette(routes=list(self._routes()))
        self.port = 0
        self.grpc_port = 0

    async def start(self) -> None:
        """Load the models, then open the ports.

        Raises:
            ServingError: no model can be served, or a port is taken.
        """
        try:
            await self.models.configure(self._configs)
        except ServingError as error:
            if not any(map(self._available, self.models.names())):
                raise
            log.warning("%s", error)
        host = self._options.host
        self._grpc_server = grpc.aio.server(
            options=[
                ("grpc.max_receive_message_length", self._options.limits.body),
                ("grpc.max_send_message_length", -1),
                ("grpc.so_reuseport", 0),
            ]
        )
        self._grpc_server.add_generic_rpc_handlers(tuple(self._grpc.handlers()))
        with _port_errors(host, self._options.grpc_port):
            self.grpc_port = self._grpc_server.add_insecure_port(
                f"{_bracketed(host)}:{self._options.grpc_port}"
            )
        with _port_errors(host, self._options.port):
            listening = _listen(host, self._options.port)
        self.port = listening.getsockname()[1]
        await self._grpc_server.start()
        self._http = _Uvicorn(
            uvicorn.Config(
                self.application,
                log_config=None,
                access_log=False,
                lifespan="off",
                ws="none",
                server_header=False,
                timeout_graceful_shutdown=max(1, round(self._options.drain_seconds)),
            )
        )
        self._http_task = asyncio.create_task(self._http.serve(sockets=[listening]))
        self._poll_task = asyncio.create_task(self._poll())

    async def stop(self) -> None:
        """Take no new requests, answer those at work, then unload the models."""
        self._grpc.serving = False
        self._poll_task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._poll_task
        self._http.should_exit = True
        await asyncio.gather(
            self._grpc_server.stop(self._options.drain_seconds), self._http_task
        )
        await self.models.close()
        self._runner.close()

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(self._options.poll_seconds)
            try:
                await self.models.poll()
            except Exception:
                log.exception("Looking for new versions failed")

    def _available(self, name: str) -> bool:
        with contextlib.suppress(ServingError):
            return any(one.servable for one in self.models.status(name))
        return False

    def _routes(self) -> Iterator[BaseRoute]:
        yield Route("/healthz", self._healthz)
        if self._options.ui:
            from mtlzoo.serving._ui import routes

            yield from routes(self.models)
        yield Mount("/", Rest(self._inference))

    async def _healthz(self, request: Any) -> JSONResponse:
        ready = self._grpc.serving and self.models.ready()
        return JSONResponse({"ready": ready}, 200 if ready else 503)


class Server:
    """A server in a thread of this process; it runs within a `with` block.

    Attributes:
        url: of the REST interface.
        grpc_url: of the gRPC interface.
        models: their names.
    """

    def __init__(self, path: str | Path, options: Options) -> None:
        self._configs = read_config(Path(path))
        self._options = options
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._started = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="mtlzoo-server")
        self.models = sorted(config.name for config in self._configs)
        self.url = self.grpc_url = ""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def start(self) -> None:
        """Load the models and open the ports, unless that is done.

        Raises:
            ServingError: no model can be served, or a port is taken.
        """
        if self._started.is_set():
            return
        self._thread.start()
        self._started.wait()
        if self._error is not None:
            self._thread.join()
            raise self._error

    def close(self) -> None:
        """Drain and end."""
        if self._loop is not None and self._stop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended already
                self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def wait(self) -> None:
        """Serve until the process is told to end (SIGINT, SIGTERM), then drain."""
        told = threading.Event()
        before = {
            one: signal.signal(one, lambda *_: told.set())
            for one in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            while self._thread.is_alive() and not told.wait(0.2):
                pass
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            self._error = error
        finally:
            self._started.set()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        running = Running(self._configs, self._options)
        try:
            await running.start()
        except BaseException:
            await running.models.close()
            raise
        host = _bracketed(self._options.host)
        self.url = f"http://{host}:{running.port}"
        self.grpc_url = f"grpc://{host}:{running.grpc_port}"
        self._started.set()
        await self._stop.wait()
        await running.stop()


class _Uvicorn(uvicorn.Server):
    """Leaves signals to whoever started the process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _load(options: Options, name: str, version: int, folder: Path) -> Servable:
    servable = Servable(
        name,
        version,
        folder,
        trusted=options.trust,
        timeout=options.limits.seconds,
    )
    try:
        count = warm_up(servable)
    except BaseException:
        servable.close()
        raise
    log.info("Loaded %s version %d, with %d warmup requests", name, version, count)
    return servable


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sends without delay (TCP_NODELAY) only where the protocol is given; an
    # answer in two pieces takes 40 ms otherwise.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(2048)
    except BaseException:
        listening.close()
        raise
    return listening


@contextlib.contextmanager
def _port_errors(host: str, port: int) -> Iterator[None]:
    try:
        yield
    except (OSError, RuntimeError) as error:
        raise ServingError(
            Code.UNAVAILABLE,
            f"Can't listen on {host}, port {port}: {error}. Choose another port; 0 "
            "takes a free one.",
        ) from error


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
