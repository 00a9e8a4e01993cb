"""Requests recorded with an export, read as the server reads them."""

import sys

import pytest
import tensorflow as tf
from examples import INPUTS, two_task_model

from mtlzoo import export, trunks
from mtlzoo.errors import MissingExtraError
from mtlzoo.export._warmup import RECORDS


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    prediction_log = pytest.importorskip("tensorflow_serving.apis.prediction_log_pb2")
    model = two_task_model(inputs=INPUTS["image"], trunk=trunks.CNN((4,)))
    base = tmp_path_factory.mktemp("gallery")
    folder = export.saved_model(model, base, pixel_scale=1 / 255, warmup=True)
    records = tf.data.TFRecordDataset(str(folder / RECORDS)).as_numpy_iterator()
    return folder, [prediction_log.PredictionLog.FromString(one) for one in records]


def test_every_signature_is_asked(logs):
    asked = {}
    for log in logs[1]:
        kind = log.WhichOneof("log_type")
        request = getattr(log, kind).request
        if kind == "multi_inference_log":
            tasks = [task.model_spec.signature_name for task in request.tasks]
            assert tasks == ["classify_click", "classify_buy"]
            assert len(request.input.example_list.examples) == 8
            continue
        name = request.model_spec.signature_name
        rows = (
            [next(iter(request.inputs.values())).tensor_shape.dim[0].size]
            if kind == "predict_log"
            else [len(request.input.example_list.examples)]
        )
        asked.setdefault(name, []).extend(rows)
    assert asked == {
        "serving_default": [1, 8],
        "task_click": [1, 8],
        "task_buy": [1, 8],
        "features": [1, 8],
        "examples": [1, 8],
        "classify_click": [1],
        "classify_buy": [1],
        "serving_bytes": [1],
    }


def test_predictions_are_answered(logs):
    folder, found = logs
    with export.load(folder) as exported:
        for log in found:
            if log.WhichOneof("log_type") == "predict_log":
                request = log.predict_log.request
                inputs = {
                    name: tf.make_ndarray(one) for name, one in request.inputs.items()
                }
                assert exported(inputs, request.model_spec.signature_name)


def test_without_the_extra(monkeypatch, tmp_path):
    for name in ("tensorflow_serving", "tensorflow_serving.apis"):
        monkeypatch.setitem(sys.modules, name, None)
    module = "tensorflow_serving.apis.prediction_log_pb2"
    monkeypatch.delitem(sys.modules, module, raising=False)
    with pytest.raises(MissingExtraError, match=r'pip install "mtlzoo\[serving\]"'):
        export.saved_model(two_task_model(), tmp_path, warmup=True)
    assert not list(tmp_path.iterdir())


def test_the_local_server_takes_an_export_and_its_requests(logs):
    """Its scan finds no operation to refuse, and MultiInference is answered."""
    from mtlzoo.serving._servable import Servable
    from mtlzoo.serving._warmup import warm_up

    folder, found = logs
    assert warm_up(Servable("gallery", 1, folder)) == len(found) == 14
