"""What the server takes no more of."""

import gzip
import json
import socket
import time

import grpc
import pytest
from serving import table
from serving.backends import OverSockets, error_of
from tensorflow_serving.apis import predict_pb2


@pytest.fixture(scope="module")
def small(zoo):
    with OverSockets(zoo, max_body=1000, timeout=0.5) as backend:
        yield backend


def test_large_body(small):
    body = json.dumps({"instances": [1.0] * 1000})
    status, _, content = small.rest("POST", table.H + ":predict", body)
    assert status == 429
    assert "more than 1000 bytes" in error_of(content)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (gzip.compress(b" " * 10_000_000, mtime=0), "more than 1000 bytes"),
        (b"no gzip", "The body is no gzip"),
        (gzip.compress(b"{}", mtime=0)[:-9], "The body is no whole gzip"),
    ],
)
def test_gzip(body, message, small):
    headers = {"Content-Encoding": "gzip"}
    _, _, content = small.rest("POST", table.H + ":predict", body, headers)
    assert message in error_of(content)


def test_large_message(small):
    request = predict_pb2.PredictRequest()
    request.inputs["x"].tensor_content = b"0" * 2000
    with pytest.raises(grpc.RpcError) as error:
        small.grpc("predict", request)
    assert error.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


def test_slow_body(small):
    host, _, port = small.address.partition(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(
            b"POST /v1/models/half_plus_two:predict HTTP/1.1\r\nHost: x\r\n"
            b"Content-Length: 100\r\n\r\n{"
        )
        started = time.monotonic()
        answer = b""
        while not answer.endswith(b"}"):
            answer += connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 504")
    assert b"The request took more than 0.5 s" in answer
    assert time.monotonic() - started < 5


def test_deep_nesting(over_sockets):
    content = b"[" * 2_000_000
    status, _, found = over_sockets.rest("POST", table.H + ":predict", content)
    assert status == 400
    assert "nested deeper than 1000000 levels" in error_of(found)


def test_deep_tensor(over_sockets):
    body = '{"instances":' + "[" * 100_000 + "1" + "]" * 100_000 + "}"
    status, _, found = over_sockets.rest("POST", table.H + ":predict", body)
    assert status == 400
    assert "at most 64 dimensions" in error_of(found)


def tensor(**fields):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "half_plus_two"
    proto = request.inputs["x"]
    for size in fields.pop("shape", []):
        proto.tensor_shape.dim.add().size = size
    for name, value in fields.items():
        if isinstance(value, list):
            getattr(proto, name).extend(value)
        else:
            setattr(proto, name, value)
    return request


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"dtype": 1, "shape": [10**12], "float_val": [1.0]}, "is too large"),
        ({"dtype": 1, "shape": [1] * 65}, "is too large"),
        ({"dtype": 1, "shape": [-1]}, "has no shape of known sizes"),
        ({"dtype": 1, "shape": [2], "tensor_content": b"123"}, "it takes 8"),
        ({"dtype": 7, "shape": [1], "tensor_content": b"1"}, "stand in string_val"),
        ({"dtype": 20}, "Unsupported tensor type: DT_RESOURCE"),
        ({"dtype": 0}, "Unsupported tensor type: DT_INVALID"),
        ({"dtype": 999}, "Unsupported tensor type: 999"),
    ],
)
def test_tensors(fields, message, over_sockets):
    with pytest.raises(grpc.RpcError) as error:
        over_sockets.grpc("predict", tensor(**fields))
    assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert message in error.value.details()


def test_values_left_out_are_repeated(over_sockets):
    request = tensor(dtype=1, shape=[3], float_val=[1.0, 2.0])
    found = over_sockets.grpc("predict", request).outputs["y"].float_val
    assert found == [2.5, 3.0, 3.0]
    found = over_sockets.grpc("predict", tensor(dtype=1, shape=[2])).outputs["y"]
    assert found.float_val == [2.0, 2.0]


def test_metrics(zoo):
    with OverSockets(zoo) as backend:
        for name in ("half_plus_two", "nope", "nope2"):
            backend.rest("POST", f"/v1/models/{name}:predict", table.ROW)
        _, headers, content = backend.rest("GET", "/monitoring/prometheus/metrics")
    assert headers["content-type"].startswith("text/plain")
    lines = content.decode().splitlines()
    name = ":tensorflow:serving:request_count"
    assert f"# TYPE {name} counter" in lines
    assert f'{name}{{model_name="half_plus_two",status="OK"}} 1' in lines
    # Names that nothing has are counted together.
    assert f'{name}{{model_name="",status="NOT_FOUND"}} 2' in lines
    labels = 'model_name="half_plus_two",API="Predict",entrypoint="REST"'
    latency = f":tensorflow:serving:request_latency_bucket{{{labels},le="
    buckets = [line for line in lines if line.startswith(latency)]
    assert len(buckets) == 34
    assert buckets[0].startswith(latency + '"10"}')
    assert buckets[-1] == latency + '"+Inf"} 1'
