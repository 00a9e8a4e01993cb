"""The client says the same over both protocols, and tries again when it should."""

import socket
import sys
import threading
import time

import numpy as np
import pytest
from serving.backends import OverSockets

from mtlzoo import serving
from mtlzoo.errors import DataError, MissingExtraError, UnknownNameError
from mtlzoo.serving import _client, _errors


@pytest.fixture(params=["rest", "grpc"])
def url(request, over_sockets):
    server = over_sockets.server
    return server.url if request.param == "rest" else server.grpc_url


def test_predict(url):
    with serving.Client(url, "mtl") as client:
        answers = client.predict({"a": [[1, 2], [0, 0]], "b": [[1, 2, 3], [0, 0, 0]]})
        assert set(answers) == {"ctr", "topic"}
        assert {one.dtype for one in answers.values()} == {np.dtype("float32")}
        np.testing.assert_allclose(answers["ctr"], [[0.858148932], [0.5]], rtol=1e-6)
        only = client.predict({"a": [[1, 2]], "b": [[1, 2, 3]]}, outputs=["topic"])
        assert set(only) == {"topic"}
        assert repr(client) == f"Client({url!r}, 'mtl')"


def test_version_and_label(url):
    with serving.Client(url, "mtl", version=1) as client:
        answers = client.predict({"a": [[1, 2]], "b": [[1, 2, 3]]})
        np.testing.assert_allclose(answers["ctr"], [[0.71094954]], rtol=1e-6)
    with serving.Client(url, "half_plus_two", label="l") as client:
        assert client.predict({"x": [1.0]})["y"].tolist() == [2.5]


def test_strings_integers_and_what_is_no_number(url):
    with serving.Client(url, "scalar") as client:
        texts = ["hé", b"\xff\x00", "", "日本"]
        answers = client.predict({"s": texts}, signature="strings")
        expected = [one.encode() if isinstance(one, str) else one for one in texts]
        assert answers["echo"].tolist() == expected
        assert answers["echo_bytes"].tolist() == expected
        assert answers["n"].tolist() == [3, 2, 0, 6]
        assert answers["n"].dtype == np.int32
        answers = client.predict({"x": [[np.nan, 1.0], [np.inf, 1.0]]})
        np.testing.assert_array_equal(answers["y"], [np.nan, np.inf])
        assert answers["total"].shape == ()


def test_empty_batch(url):
    with serving.Client(url, "kinds") as client:
        assert client.predict({"x": [1.0]}, signature="none")["y"].shape == (0,)


def test_classify_and_regress(url):
    with serving.Client(url, "half_plus_two") as client:
        values = client.regress([{"x": 80.0}, {"x": [4.0]}], signature="regress_x_to_y")
        assert values.tolist() == [42.0, 4.0]
        classes = client.classify([{"x": np.float32(20)}], signature="classify_x_to_y")
        assert classes == [[("", 12.0)]]


def test_multi_inference(url):
    signatures = ["regress_x_to_y", "classify_x_to_y"]
    with serving.Client(url, "half_plus_two") as client:
        found = client.multi_inference([{"x": 80.0}, {}], signatures=signatures)
        assert list(found) == signatures
        assert found["regress_x_to_y"].tolist() == [42.0, 2.0]
        assert found["regress_x_to_y"].dtype == np.float32
        assert found["classify_x_to_y"] == [[("", 42.0)], [("", 2.0)]]
        with pytest.raises(UnknownNameError, match="Did you mean 'regress_x_to_y'"):
            client.multi_inference([{"x": 1.0}], signatures=["regress_x_to"])


def test_bytes_that_end_in_zeros_stay(url):
    assert _client._features({"f": b"\xff\x00"}) == {"f": [b"\xff\x00"]}
    with (
        serving.Client(url, "half_plus_two") as client,
        pytest.raises(serving.ServingError, match="Data types don't match"),
    ):
        client.regress([{"x": b"\xff\x00"}], signature="regress_x_to_y")


def test_signatures_and_status(url):
    with serving.Client(url, "mtl") as client:
        signature = client.signatures()["serving_default"]
        assert signature.method == "predict"
        assert signature.inputs["a"] == serving.Tensor("float32", (None, 2))
        assert signature.outputs["topic"] == serving.Tensor("float32", (None, 3))
        newest = client.status()[0]
        assert newest == serving.VersionStatus(2, "AVAILABLE", "")
    with serving.Client(url, "kinds") as client:
        assert client.signatures()["serving_default"].inputs["x"].shape is None


def test_errors_have_codes(url):
    with (
        serving.Client(url, "nope") as client,
        pytest.raises(serving.ServingError, match="Servable not found") as error,
    ):
        client.predict({"a": [1.0]})
    assert error.value.code == "NOT_FOUND"
    with serving.Client(url, "mtl") as client:
        with pytest.raises(UnknownNameError, match="Did you mean 'serving_default'"):
            client.predict({}, signature="serving_defaul")
        with pytest.raises(UnknownNameError, match="There is no output 'topi'"):
            client.predict({}, outputs=["topi"])
        with pytest.raises(serving.ServingError) as error:
            client.predict({"a": [[1.0, 2.0]]})
        assert error.value.code == "INVALID_ARGUMENT"


@pytest.mark.parametrize("url", ["127.0.0.1:8501", "ftp://x", "http://", ""])
def test_no_url(url):
    with pytest.raises(DataError, match="`url` must be such as"):
        serving.Client(url, "m")


def test_one_choice_of_a_version():
    with pytest.raises(DataError, match=r"pass one of them.*version=1"):
        serving.Client("http://127.0.0.1:1", "m", version=1, label="stable")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]


@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_nobody_there(scheme):
    url = f"{scheme}://127.0.0.1:{free_port()}"
    started = time.monotonic()
    with (
        serving.Client(url, "m", timeout=5.0, retries=2) as client,
        pytest.raises(serving.ServingError) as error,
    ):
        client.status()
    assert error.value.code == "UNAVAILABLE"
    assert time.monotonic() - started < 5.0


@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_waits_for_a_server_that_comes(scheme, zoo):
    ports = {"port": free_port(), "grpc_port": free_port()}
    number = ports["port" if scheme == "http" else "grpc_port"]
    answers = []

    def ask():
        url = f"{scheme}://127.0.0.1:{number}"
        with serving.Client(url, "mtl", timeout=30.0, retries=100) as client:
            answers.append(client.predict({"a": [[1, 2]], "b": [[1, 2, 3]]}))

    asking = threading.Thread(target=ask)
    asking.start()
    with serving.serve(zoo, **ports):
        asking.join(30)
    assert len(answers) == 1


def silent_server():
    """A server that takes requests and never answers."""
    return socket.create_server(("127.0.0.1", 0))


@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_timeout_is_not_tried_again(scheme):
    with silent_server() as listening:
        url = f"{scheme}://127.0.0.1:{listening.getsockname()[1]}"
        started = time.monotonic()
        with (
            serving.Client(url, "m", timeout=0.3) as client,
            pytest.raises(serving.ServingError) as error,
        ):
            client.status()
    assert error.value.code in ("DEADLINE_EXCEEDED", "UNAVAILABLE")
    assert time.monotonic() - started < 2.0


class TestRetries:
    @pytest.fixture
    def client(self, monkeypatch):
        self.waits = []
        monkeypatch.setattr(_client.time, "sleep", self.waits.append)
        return serving.Client("http://127.0.0.1:1", "m", timeout=60.0, retries=4)

    def failing(self, code, times):
        calls = []

        def call(seconds):
            calls.append(seconds)
            if len(calls) <= times:
                raise serving.ServingError(code, "not now")
            return "answer"

        return call, calls

    def test_unavailable(self, client):
        call, calls = self.failing("UNAVAILABLE", 3)
        assert client._call(call) == "answer"
        assert len(calls) == 4
        for wait, limit in zip(self.waits, (0.05, 0.1, 0.2), strict=True):
            assert limit / 2 <= wait <= limit

    def test_gives_up(self, client):
        call, calls = self.failing("UNAVAILABLE", 100)
        with pytest.raises(serving.ServingError, match="not now"):
            client._call(call)
        assert len(calls) == 5

    @pytest.mark.parametrize(
        "code",
        [one.name for one in _errors.Code if one.name not in ("OK", "UNAVAILABLE")],
    )
    def test_nothing_else(self, client, code):
        call, calls = self.failing(code, 1)
        with pytest.raises(serving.ServingError, match="not now"):
            client._call(call)
        assert len(calls) == 1


@pytest.mark.parametrize("module", ["grpc", "tensorflow_serving.apis"])
def test_absent_extra(module, monkeypatch, zoo):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(
        MissingExtraError, match=r'The gRPC client.*"mtlzoo\[serving\]"'
    ):
        serving.Client("grpc://127.0.0.1:1", "m")
    with pytest.raises(MissingExtraError, match=r'The server.*"mtlzoo\[serving\]"'):
        serving.serve(zoo)


def test_overloaded_server_turns_away(zoo):
    with (
        OverSockets(zoo, max_requests=1) as backend,
        serving.Client(backend.server.url, "mtl", retries=0) as client,
    ):
        client.signatures()
        held = socket.create_connection(backend.address.split(":"))
        held.sendall(
            b"POST /v1/models/mtl:predict HTTP/1.1\r\nHost: x\r\n"
            b"Content-Length: 9\r\n\r\n"
        )
        time.sleep(0.2)
        with (
            held,
            pytest.raises(serving.ServingError, match="as many as it t") as error,
        ):
            client.predict({"a": [[1, 2]], "b": [[1, 2, 3]]})
        assert error.value.code == "UNAVAILABLE"
