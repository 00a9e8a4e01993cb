"""Versions come, go, fail and get names, while the server serves."""

import json
import shutil
import time

import pytest
import tensorflow as tf
from serving.backends import OverSockets
from tensorflow_serving.apis import prediction_log_pb2

from mtlzoo import serving
from mtlzoo.serving._errors import ServingError
from mtlzoo.serving._warmup import MAX_RECORDS, RECORDS

POLL = 0.05
OPTIONS = {"poll_seconds": POLL}
ROW = '{"instances":[1.0]}'


def publish(source, base, version):
    """Put a version there in one step, as every export should."""
    base.mkdir(exist_ok=True)
    stage = base / f".stage{version}"
    shutil.copytree(source, stage)
    stage.rename(base / str(version))


def states(backend, name="m"):
    _, _, content = backend.rest("GET", f"/v1/models/{name}")
    return {
        int(one["version"]): (one["state"], one["status"]["error_message"])
        for one in json.loads(content)["model_version_status"]
    }


def state(backend, version):
    return states(backend).get(version, ("not there",))[0]


def wait_until(condition, seconds=10):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.01)


def prediction(backend, path="/v1/models/m:predict"):
    status, _, content = backend.rest("POST", path, ROW)
    assert status == 200, content
    return json.loads(content)["predictions"]


def test_new_version_and_rollback(half, plus_three, tmp_path):
    publish(half, tmp_path / "m", 1)
    for ignored in ("5.tmp", "tmp-4", ".stage7"):
        shutil.copytree(half, tmp_path / "m" / ignored)
    with OverSockets(tmp_path / "m", **OPTIONS) as backend:
        assert prediction(backend) == [2.5]
        publish(plus_three, tmp_path / "m", "0003")
        wait_until(lambda: state(backend, 1) == "END")
        assert states(backend) == {3: ("AVAILABLE", ""), 1: ("END", "")}
        assert prediction(backend) == [3.5]
        shutil.rmtree(tmp_path / "m" / "0003")
        wait_until(lambda: states(backend)[3][0] == "END")
        assert states(backend)[1][0] == "AVAILABLE"
        assert prediction(backend) == [2.5]


@pytest.mark.parametrize("damage", ["graph", "weights", "no graph"])
def test_corrupt_version_leaves_the_old_one_serving(damage, half, tmp_path):
    publish(half, tmp_path / "m", 1)
    with OverSockets(tmp_path / "m", **OPTIONS) as backend:
        broken = tmp_path / "broken"
        shutil.copytree(half, broken)
        if damage == "graph":
            (broken / "saved_model.pb").write_bytes(b"\xff" * 100)
        elif damage == "no graph":
            (broken / "saved_model.pb").unlink()
        else:
            (data,) = broken.glob("variables/*.data-*")
            data.write_bytes(data.read_bytes()[:4])
        publish(broken, tmp_path / "m", 2)
        wait_until(lambda: state(backend, 2) == "END")
        assert state(backend, 1) == "AVAILABLE"
        words = {
            "graph": "is corrupt",
            "weights": "bytes",
            "no graph": "Could not find",
        }
        assert words[damage] in states(backend)[2][1]
        assert prediction(backend) == [2.5]
        # Mended, it is taken: a failed version is looked at again when it changes.
        shutil.rmtree(tmp_path / "m" / "2")
        publish(half, tmp_path / "m", 2)
        wait_until(lambda: states(backend)[2][0] == "AVAILABLE")


def write_warmup(folder, count, signature):
    log = prediction_log_pb2.PredictionLog()
    request = log.predict_log.request
    request.model_spec.name = "m"
    request.model_spec.signature_name = signature
    request.inputs["x"].CopyFrom(tf.make_tensor_proto([[1.0]]))
    path = folder / RECORDS
    path.parent.mkdir()
    with tf.io.TFRecordWriter(str(path)) as writer:
        for _ in range(count):
            writer.write(log.SerializeToString())


@pytest.mark.parametrize(
    ("count", "signature", "error"),
    [
        (3, "serving_default", ""),
        (1, "nope", 'Serving signature key "nope" not found.'),
        (MAX_RECORDS + 1, "", "Number of warmup records exceeds the maximum (1000) at"),
    ],
)
def test_warmup(count, signature, error, half, tmp_path):
    publish(half, tmp_path / "m", 1)
    warm = tmp_path / "warm"
    shutil.copytree(half, warm)
    write_warmup(warm, count, signature)
    with OverSockets(tmp_path / "m", **OPTIONS) as backend:
        publish(warm, tmp_path / "m", 2)
        expected = "END" if error else "AVAILABLE"
        wait_until(lambda: state(backend, 2) == expected)
        assert states(backend)[2][1].startswith(error)
        assert (state(backend, 1) == "AVAILABLE") == bool(error)
        assert prediction(backend) == [2.5]


def test_warmup_of_every_kind(half, tmp_path):
    shutil.copytree(half, tmp_path / "m" / "1")
    path = tmp_path / "m" / "1" / RECORDS
    path.parent.mkdir()
    with tf.io.TFRecordWriter(str(path)) as writer:
        for kind, signature in (
            ("classify", "classify_x_to_y"),
            ("regress", "regress_x_to_y"),
        ):
            log = prediction_log_pb2.PredictionLog()
            request = getattr(log, f"{kind}_log").request
            request.model_spec.signature_name = signature
            request.input.example_list.examples.add()
            writer.write(log.SerializeToString())
        log = prediction_log_pb2.PredictionLog()
        request = log.multi_inference_log.request
        task = request.tasks.add(method_name="tensorflow/serving/regress")
        task.model_spec.signature_name = "regress_x_to_y"
        request.input.example_list.examples.add()
        writer.write(log.SerializeToString())
    with OverSockets(tmp_path / "m") as backend:
        assert states(backend)[1][0] == "AVAILABLE"


class TestStart:
    def test_nothing_there(self, tmp_path):
        with pytest.raises(ServingError, match="Nothing to serve is in"):
            serving.serve(tmp_path)

    def test_no_config(self, tmp_path):
        (tmp_path / "models.config").write_text("{not a proto}")
        with pytest.raises(ServingError, match="is no model server config"):
            serving.serve(tmp_path / "models.config")

    def test_no_model_that_loads(self, half, tmp_path):
        publish(half, tmp_path / "m", 1)
        (tmp_path / "m" / "1" / "saved_model.pb").write_bytes(b"\xff")
        with (
            pytest.raises(ServingError, match=r"1 model\(s\) did not become available"),
            serving.serve(tmp_path / "m", port=0, grpc_port=0),
        ):
            pass

    def test_port_taken(self, half, tmp_path, over_sockets):
        publish(half, tmp_path / "m", 1)
        taken = int(over_sockets.address.rpartition(":")[2])
        with (
            pytest.raises(ServingError, match="Can't listen on 127"),
            serving.serve(tmp_path / "m", port=taken, grpc_port=0),
        ):
            pass

    def test_folder_of_models(self, half, tmp_path):
        for name in ("one", "two", ".hidden"):
            publish(half, tmp_path / name, 1)
        (tmp_path / "notes").mkdir()
        with serving.serve(tmp_path, port=0, grpc_port=0) as server:
            assert server.models == ["one", "two"]

    @pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "example.org", "::"])
    def test_not_exposed_by_accident(self, host, zoo):
        with pytest.raises(ServingError, match="expose=True"):
            serving.serve(zoo, host=host)

    def test_localhost(self, zoo):
        with serving.serve(zoo, host="localhost", port=0, grpc_port=0) as server:
            assert server.url.startswith("http://localhost:")
