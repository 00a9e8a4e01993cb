"""The server dies, and its models change, while clients ask."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest
from serving.backends import OverSockets
from serving.test_lifecycle import publish

from mtlzoo import serving

CLIENTS = 6
COMMAND = "from mtlzoo.cli._serve import serve; serve()"


class Load:
    """Clients of both protocols that ask all the time, and note what goes wrong."""

    def __init__(self, urls, model="m", **options):
        self.answered = 0
        self.errors = []
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._ask, args=(urls[index % 2], model, options))
            for index in range(CLIENTS)
        ]

    def _ask(self, url, model, options):
        with serving.Client(url, model, **options) as client:
            while not self._stop.is_set():
                try:
                    if client.predict({"x": [1.0]})["y"].tolist() != [2.5]:
                        self.errors.append("a wrong answer")
                    self.answered += 1
                except Exception as error:
                    self.errors.append(repr(error))

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exception):
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def wait(self, more):
        """Wait until that many more requests are answered."""
        target, deadline = self.answered + more, time.monotonic() + 30
        while self.answered < target:
            assert time.monotonic() < deadline, self.errors
            time.sleep(0.01)


@contextlib.contextmanager
def process(folder, *arguments):
    """Run `mtlzoo serve` in another process; give it, and what it says of itself."""
    with subprocess.Popen(
        [sys.executable, "-c", COMMAND, str(folder), "--json", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as started:
        try:
            said = ""
            while not said.endswith("}\n"):
                line = started.stdout.readline()
                assert line, started.stderr.read()
                said += line
            yield started, json.loads(said)
        finally:
            started.kill()


def free_ports():
    with socket.create_server(("", 0)) as one, socket.create_server(("", 0)) as other:
        return one.getsockname()[1], other.getsockname()[1]


def test_killed_under_load_and_started_again(half, tmp_path):
    publish(half, tmp_path / "m", 1)
    port, grpc_port = free_ports()
    ports = ("--port", port, "--grpc-port", grpc_port)
    urls = f"http://127.0.0.1:{port}", f"grpc://127.0.0.1:{grpc_port}"
    with contextlib.ExitStack() as stack:
        first, said = stack.enter_context(process(tmp_path / "m", *ports))
        assert said == {"rest": urls[0], "grpc": urls[1], "models": ["m"]}
        with Load(urls, timeout=60.0, retries=200) as load:
            load.wait(50)
            first.kill()
            stack.enter_context(process(tmp_path / "m", *ports))
            load.wait(50)
    # Those that it had when it died are asked again: nothing is lost.
    assert load.errors == []


def test_versions_replaced_and_rolled_back_under_load(half, tmp_path):
    publish(half, tmp_path / "m", 1)
    with (
        OverSockets(tmp_path / "m", poll_seconds=0.05, max_batch_size=8) as backend,
        Load((backend.server.url, backend.server.grpc_url), retries=0) as load,
    ):
        for version in range(2, 6):
            publish(half, tmp_path / "m", version)
            load.wait(40)
        for version in (5, 4):
            shutil.rmtree(tmp_path / "m" / str(version))
            load.wait(40)
    assert load.errors == []


@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT])
def test_drains(told, half, tmp_path):
    """What is asked before the server is told to end is answered."""
    publish(half, tmp_path / "m", 1)
    with process(tmp_path / "m", "--port", 0, "--grpc-port", 0) as (started, said):
        address = said["rest"].removeprefix("http://").split(":")
        with socket.create_connection(address) as held:
            body = b'{"instances":[1.0]}'
            head = b"POST /v1/models/m:predict HTTP/1.1\r\nHost: x\r\n"
            held.sendall(head + b"Content-Length: %d\r\n\r\n" % len(body) + body[:5])
            time.sleep(0.3)
            os.kill(started.pid, told)
            time.sleep(0.5)
            held.sendall(body[5:])
            answer = b"".join(iter(lambda: held.recv(65536), b""))
        assert answer.startswith(b"HTTP/1.1 200")
        assert b"2.5" in answer
        assert started.wait(60) == 0
        assert "Traceback" not in started.stderr.read()
