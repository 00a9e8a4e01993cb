"""The server under load, beside the same model run without a server."""

import asyncio
import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROUNDS = 5
SECONDS = 1.0
CLIENTS = (1, 8, 64)
BATCHES = (0, 64)
MODELS = {"small": (1, 32), "medium": (6, 1024)}
"""Layers and units of each MLP; both have 64 inputs and two tasks."""

Found = dict[tuple[int, int], dict[str, float]]
"""Rate and latency by rows of a batch, 0 without batching, and number of clients."""


def run() -> str:
    """Measure requests a second and latency over gRPC, one row a request."""
    lines = [
        f"gRPC on loopback, one row a request, {ROUNDS} rounds of {SECONDS:g} s in "
        "turns, of which the best one counts, since what else the machine does only "
        "slows a round down. Clients, server and model share its cores. Latency in ms.",
        "",
        "| model | batching | clients | requests/s | p50 | p99 | failed |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    summary = []
    with tempfile.TemporaryDirectory() as folder, _process("load") as load:
        for model, (layers, units) in MODELS.items():
            base = Path(folder) / model
            _export(base, layers, units)
            hot, alone, found = _measure(base, load)
            lines.append(
                f"| {model} | no server, back to back | | {1000 / hot:.0f} | "
                f"{hot:.2f} | | |"
            )
            lines.append(f"| {model} | no server, 1 ms apart | | | {alone:.2f} | | |")
            for (batch, clients), one in found.items():
                lines.append(
                    f"| {model} | {batch or 'off'} | {clients} | {one['rate']:.0f} | "
                    f"{one['p50']:.2f} | {one['p99']:.2f} | {one['failed']:.0f} |"
                )
            summary.append(_summary(model, alone, found))
    return "\n".join([*lines, "", *summary])


def _summary(model: str, alone: float, found: Found) -> str:
    most = CLIENTS[-1]
    overhead = found[0, 1]["p50"] - alone
    gain = found[BATCHES[-1], most]["rate"] / found[0, most]["rate"]
    return (
        f"- {model}: at one client the server and the client add {overhead:.2f} ms to "
        f"the session's {alone:.2f} ms (p50); at {most} clients batching gives "
        f"{gain:.1f} times the requests a second."
    )


def _measure(base: Path, load: "subprocess.Popen[str]") -> tuple[float, float, Found]:
    """Return the session's milliseconds for a row, and what each server reaches.

    Back to back, the session finds its weights in the cache. A single client leaves
    about a millisecond between its requests, in which they go: that is what the server
    is to be compared with.
    """
    hot, alone = [], []
    found: dict[tuple[int, int], list[dict[str, float]]] = defaultdict(list)
    with contextlib.ExitStack() as stack:
        servers = {
            batch: stack.enter_context(_process("serve", base, batch))
            for batch in BATCHES
        }
        addresses = {batch: _read(server) for batch, server in servers.items()}
        for _ in range(ROUNDS):
            hot.append(_session_alone(base / "1", 0))
            alone.append(_session_alone(base / "1", 0.001))
            for clients in CLIENTS:
                for batch, address in addresses.items():
                    question = {"clients": clients, "model": base.name, **address}
                    found[batch, clients].append(_ask(load, question))
    return (
        min(hot),
        min(alone),
        {
            (batch, clients): {
                **max(found[batch, clients], key=lambda one: one["rate"]),
                "failed": sum(one["failed"] for one in found[batch, clients]),
            }
            for batch in BATCHES
            for clients in CLIENTS
        },
    )


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


def _session_alone(folder: Path, pause: float) -> float:
    """Return the median milliseconds of one row through the session.

    Args:
        folder: of the export.
        pause: seconds between two runs.
    """
    import numpy as np

    from mtlzoo.serving._plans import plan_predict
    from mtlzoo.serving._servable import Servable

    servable = Servable("m", 1, folder)
    plan = plan_predict(servable, "", {"x": np.ones((1, 64), np.float32)})
    times = []
    for _ in range(400):
        started = time.perf_counter()
        servable.run(plan.feeds, plan.fetches, here=True)
        times.append(time.perf_counter() - started)
        if pause:
            time.sleep(pause)
    servable.close()
    return 1000 * statistics.median(times[100:])


@contextlib.contextmanager
def _process(*arguments: Any) -> Iterator["subprocess.Popen[str]"]:
    """Run a part of this module in another process, which ends with the context."""
    with subprocess.Popen(
        [sys.executable, "-m", __name__, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _ask(process: "subprocess.Popen[str]", question: Mapping[str, Any]) -> Any:
    print(json.dumps(question), file=process.stdin, flush=True)
    return _read(process)


def _read(process: "subprocess.Popen[str]") -> Any:
    return json.loads(process.stdout.readline()) if process.stdout else None


def _say(answer: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def _serve(base: str, batch: str) -> None:
    from mtlzoo import serving

    with serving.serve(
        base, port=0, grpc_port=0, max_batch_size=int(batch), poll_seconds=60
    ) as server:
        _say({"address": server.grpc_url.removeprefix("grpc://")})
        sys.stdin.read()


def _load() -> None:
    for line in sys.stdin:
        _say(asyncio.run(_clients(**json.loads(line))))


async def _clients(address: str, model: str, clients: int) -> dict[str, float]:
    """Let clients ask, each as soon as it has its answer, and time them."""
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
    # All are connected, and have been answered, before the clock starts.
    ready = asyncio.Barrier(clients + 1)

    async def client() -> None:
        nonlocal failed
        async with grpc.aio.insecure_channel(
            address, options=[("grpc.use_local_subchannel_pool", 1)]
        ) as channel:
            # Bytes in and out: what the client itself costs isn't the server's.
            predict = channel.unary_unary(
                "/tensorflow.serving.PredictionService/Predict"
            )
            for _ in range(3):
                await predict(body)
            await ready.wait()
            until = time.perf_counter() + SECONDS
            while time.perf_counter() < until:
                started = time.perf_counter()
                try:
                    answer = await predict(body)
                    failed += not answer
                except grpc.RpcError:
                    failed += 1
                times.append(time.perf_counter() - started)

    asking = [asyncio.create_task(client()) for _ in range(clients)]
    await ready.wait()
    started = time.perf_counter()
    await asyncio.gather(*asking)
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
        _load()
