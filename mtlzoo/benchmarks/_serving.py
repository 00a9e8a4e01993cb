"""The server under load, beside the same model run without a server."""

import asyncio
import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SECONDS = 4.0
CLIENTS = (1, 8, 64)
BATCH = 64
MODELS = {"small": (1, 32), "medium": (6, 1024)}
"""Layers and units of each MLP; both have 64 inputs and two tasks."""


def run() -> str:
    """Measure requests a second and latency over gRPC, one row a request."""
    lines = [
        f"gRPC on loopback, one row a request, {SECONDS:g} s each; clients, server and "
        "model share the machine's cores. Latency in ms.",
        "",
        "| model | batching | clients | requests/s | p50 | p99 | failed |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    with tempfile.TemporaryDirectory() as folder:
        for model, (layers, units) in MODELS.items():
            base = Path(folder) / model
            _export(base, layers, units)
            alone = _session_alone(base / "1")
            lines.append(
                f"| {model} | no server: the session alone | | {1000 / alone:.0f} | "
                f"{alone:.2f} | | |"
            )
            for batch in (0, BATCH):
                with _server(base, batch) as address:
                    for clients in CLIENTS:
                        found = _load(address, model, clients)
                        lines.append(
                            f"| {model} | {batch or 'off'} | {clients} | "
                            f"{found['rate']:.0f} | {found['p50']:.2f} | "
                            f"{found['p99']:.2f} | {found['failed']} |"
                        )
    return "\n".join(lines)


def _export(base: Path, layers: int, units: int) -> None:
    import keras

    from mtlzoo import export

    inputs = keras.Input((64,), name="x")
    hidden = inputs
    for _ in range(layers):
        hidden = keras.layers.Dense(units, activation="relu")(hidden)
    outputs = {
        "click": keras.layers.Dense(1, activation="sigmoid")(hidden),
        "topic": keras.layers.Dense(10, activation="softmax")(hidden),
    }
    export.saved_model(keras.Model({"x": inputs}, outputs), base)


def _session_alone(folder: Path) -> float:
    """Return the median milliseconds of one row through the session."""
    import numpy as np

    from mtlzoo.serving._plans import plan_predict
    from mtlzoo.serving._servable import Servable

    servable = Servable("m", 1, folder)
    plan = plan_predict(servable, "", {"x": np.ones((1, 64), np.float32)})
    times = []
    for _ in range(500):
        started = time.perf_counter()
        servable.run(plan.feeds, plan.fetches)
        times.append(time.perf_counter() - started)
    servable.close()
    return 1000 * statistics.median(times[100:])


@contextlib.contextmanager
def _server(base: Path, batch: int) -> Iterator[str]:
    with subprocess.Popen(
        [sys.executable, "-m", __name__, "serve", str(base), str(batch)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield _first_line(process)
        finally:
            process.kill()


def _first_line(process: subprocess.Popen[str]) -> str:
    return process.stdout.readline().strip() if process.stdout else ""


def _load(address: str, model: str, clients: int) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", __name__, "load", address, model, str(clients)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _serve(base: str, batch: str) -> None:
    from mtlzoo import serving

    with serving.serve(
        base, port=0, grpc_port=0, max_batch_size=int(batch), poll_seconds=60
    ) as server:
        sys.stdout.write(server.grpc_url.removeprefix("grpc://") + "\n")
        sys.stdout.flush()
        sys.stdin.read()


async def _ask(address: str, model: str, clients: int) -> dict[str, Any]:
    import grpc
    import numpy as np
    from tensorflow_serving.apis import predict_pb2

    from mtlzoo.serving._tensors import to_proto

    request = predict_pb2.PredictRequest()
    request.model_spec.name = model
    request.inputs["x"].CopyFrom(to_proto(np.ones((1, 64), np.float32)))
    body = request.SerializeToString()
    times: list[float] = []
    failed = 0

    async def client(until: float) -> None:
        nonlocal failed
        async with grpc.aio.insecure_channel(
            address, options=[("grpc.use_local_subchannel_pool", 1)]
        ) as channel:
            # Bytes in and out: what the client itself costs isn't the server's.
            predict = channel.unary_unary(
                "/tensorflow.serving.PredictionService/Predict"
            )
            while time.perf_counter() < until:
                started = time.perf_counter()
                try:
                    answer = await predict(body)
                    failed += not answer
                except grpc.RpcError:
                    failed += 1
                times.append(time.perf_counter() - started)

    await asyncio.gather(*(client(time.perf_counter() + 0.5) for _ in range(clients)))
    times.clear()
    started = time.perf_counter()
    await asyncio.gather(*(client(started + SECONDS) for _ in range(clients)))
    seconds = time.perf_counter() - started
    times.sort()
    return {
        "rate": len(times) / seconds,
        "p50": 1000 * times[len(times) // 2],
        "p99": 1000 * times[int(len(times) * 0.99)],
        "failed": failed,
    }


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        _serve(*sys.argv[2:])
    else:
        _, _, where, which, count = sys.argv
        sys.stdout.write(json.dumps(asyncio.run(_ask(where, which, int(count)))) + "\n")
