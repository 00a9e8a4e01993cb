"""One table, on every back end: requests, and what TensorFlow Serving answers."""

import json

import grpc
import numpy as np
import pytest
from google.protobuf import text_format
from serving import table
from serving.backends import METHODS, error_of
from serving.goldens import SERVER
from tensorflow_serving.apis import inference_pb2, predict_pb2

SKIPPED = {
    "hp2 predict via regress sig default": "quotes names of the graph; prefix compared",
    "mtl mismatched batch": "the kernel's words depend on how TensorFlow was built",
    "mtl zero batch": "the kernel's words depend on how TensorFlow was built",
    "__saved_model_init_op as signature": "TensorFlow's words for a fetch that is none",
    "heads multi no tasks": "of a model that isn't described; the error needs none",
    "shared multi no tasks": "of a model that isn't described; the error needs none",
    "reload label to missing version": "changes the models: in test_reload.py",
    "reload bad models": "changes the models: in test_reload.py",
    "fresh: good after relative path": "changes the models: in test_reload.py",
    "fresh: good after unknown platform": "changes the models: in test_reload.py",
}
"""Golden cases whose words, or whole answer, can't be compared; why."""

STATUS_ONLY = {"mtl mismatched batch", "mtl zero batch", "heads multi no tasks"}
STATUS_ONLY |= {"shared multi no tasks"}

REST = [case for case in SERVER if case["api"] == "rest"]
GRPC = [case for case in SERVER if case["api"] != "rest"]
BATCHED = "batching "


def ids(cases):
    return [case["name"] for case in cases]


def close(found, expected):
    """Compare JSON, with the digits of float32 for numbers."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for key in expected:
            close(found[key], expected[key])
    elif isinstance(expected, list):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            close(one, other)
    elif isinstance(expected, float):
        np.testing.assert_allclose(found, expected, rtol=1e-6)
    else:
        assert found == expected


def loads(text):
    """Parse a golden response."""
    return json.loads(text, strict=False)


@pytest.mark.parametrize("case", table.CASES, ids=lambda case: case.name)
def test_table(case, backend):
    status, headers, content = backend.rest(case.method, case.path, case.body)
    assert status == case.http, content[:500]
    assert headers["content-type"] == "application/json"
    if status == 200:
        close(json.loads(content), case.expected)
    else:
        assert case.expected in error_of(content)


@pytest.mark.parametrize("case", REST, ids=ids(REST))
def test_golden_rest(case, backend, request):
    if case["name"].startswith(BATCHED):
        if backend is not request.getfixturevalue("in_process"):
            pytest.skip("needs a server with batching")
        backend = request.getfixturevalue("batching")
    status, headers, content = backend.rest(case["method"], case["path"], case["body"])
    assert status == case["http"], content[:500]
    if not case["response"]:
        assert content == b""
        return
    assert headers["content-type"] == "application/json"
    expected = loads(case["response"])
    if case["name"] in STATUS_ONLY:
        assert "error" in json.loads(content)
    elif status == 200:
        found = json.loads(content)
        if "metadata" in expected:
            found, expected = (
                without_tensor_names(found),
                without_tensor_names(expected),
            )
        close(found, expected)
    else:
        words = expected["error"].split("\n")[0].split("goo.gle")[0]
        assert error_of(content).startswith(words)


def without_tensor_names(metadata):
    """The names of tensors are the exporter's affair, and change with its version."""
    signatures = metadata["metadata"]["signature_def"]["signature_def"]
    signatures.pop("__saved_model_init_op", None)
    for signature in signatures.values():
        for side in ("inputs", "outputs"):
            for tensor in signature[side].values():
                assert tensor.pop("name")
    return metadata


@pytest.mark.parametrize("case", GRPC, ids=ids(GRPC))
def test_golden_grpc(case, over_sockets, request):
    if case["name"] in SKIPPED and case["name"] not in STATUS_ONLY:
        pytest.skip(SKIPPED[case["name"]])
    backend = over_sockets
    if case["name"].startswith(BATCHED):
        backend = request.getfixturevalue("batching")
    method = case["api"].removeprefix("grpc:")
    if case["status"] != "OK":
        with pytest.raises(grpc.RpcError) as error:
            backend.grpc(method, case["request"])
        assert error.value.code().name == case["status"]
        if case["name"] not in STATUS_ONLY:
            assert error.value.details() == case["message"]
        return
    response = backend.grpc(method, case["request"])
    expected = text_format.Parse(case["response"], type(response)())
    if method != "predict":
        assert response == expected
        return
    assert response.model_spec == expected.model_spec
    assert response.outputs.keys() == expected.outputs.keys()
    for name, tensor in expected.outputs.items():
        found = response.outputs[name]
        assert found.tensor_shape == tensor.tensor_shape
        np.testing.assert_allclose(found.float_val, tensor.float_val, rtol=1e-6)


def test_other_paths_are_no_json(backend):
    status, headers, content = backend.rest("GET", "/statuspage")
    assert status == 404
    assert not headers["content-type"].startswith("application/json")
    assert content.startswith(b"<HTML>")


@pytest.mark.parametrize(
    ("origin", "status"), [(None, 400), ("file://", 400), ("https://example.org", 200)]
)
def test_options(origin, status, backend):
    headers = {"Origin": origin} if origin else {}
    assert backend.rest("OPTIONS", table.H + ":predict", b"", headers)[0] == status


def test_status_by_label(backend):
    status, _, content = backend.rest("GET", table.H + "/labels/l")
    assert status == 200
    assert len(json.loads(content)["model_version_status"]) >= 1


def test_gzip(backend):
    import gzip

    body = gzip.compress(table.ROW.encode())
    headers = {"Content-Encoding": "gzip"}
    status, _, content = backend.rest("POST", table.H + ":predict", body, headers)
    assert status == 200
    assert json.loads(content) == table.HALVED


def test_input_with_a_default(over_sockets):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "kinds"
    request.model_spec.signature_name = "optional"
    request.inputs["x"].dtype = 1
    request.inputs["x"].tensor_shape.dim.add().size = 1
    request.inputs["x"].float_val.append(3.0)
    assert over_sockets.grpc("predict", request).outputs["y"].float_val == [6.0]
    request.inputs["scale"].dtype = 1
    request.inputs["scale"].float_val.append(5.0)
    assert over_sockets.grpc("predict", request).outputs["y"].float_val == [15.0]


def multi(*tasks, examples=1):
    request = inference_pb2.MultiInferenceRequest()
    for name, signature, method in tasks:
        task = request.tasks.add(method_name=f"tensorflow/serving/{method}")
        task.model_spec.name = name
        task.model_spec.signature_name = signature
    for _ in range(examples):
        example = request.input.example_list.examples.add()
        example.features.feature["x"].float_list.value.append(80.0)
    return request


REGRESS = ("half_plus_two", "regress_x_to_y", "regress")
CLASSIFY = ("half_plus_two", "classify_x_to_y", "classify")


def test_multi_inference(over_sockets):
    response = over_sockets.grpc("multi", multi(REGRESS, CLASSIFY))
    regression, classification = response.results
    assert regression.regression_result.regressions[0].value == 42.0
    assert regression.model_spec.signature_name == "regress_x_to_y"
    assert regression.model_spec.version.value == 124
    (classes,) = classification.classification_result.classifications
    assert [(one.label, one.score) for one in classes.classes] == [("", 42.0)]


@pytest.mark.parametrize(
    ("request_", "code", "words"),
    [
        (
            multi(REGRESS, REGRESS),
            "INVALID_ARGUMENT",
            "Duplicate evaluation of signature",
        ),
        (
            multi(("half_plus_two", "zzz", "regress")),
            "INVALID_ARGUMENT",
            "Requested signature not found in model graph: zzz",
        ),
        (
            multi(("half_plus_two", "serving_default", "predict")),
            "UNIMPLEMENTED",
            "Unsupported signature method_name: tensorflow/serving/predict",
        ),
        (multi(REGRESS, examples=0), "INVALID_ARGUMENT", "Input is empty."),
        (
            multi(REGRESS, ("mtl", "serving_default", "classify")),
            "INVALID_ARGUMENT",
            "All ModelSpecs in a MultiInferenceRequest must access the same mode",
        ),
    ],
)
def test_multi_inference_refusals(request_, code, words, over_sockets):
    with pytest.raises(grpc.RpcError) as error:
        over_sockets.grpc("multi", request_)
    assert error.value.code().name == code
    assert error.value.details().startswith(words)


def test_every_case_of_the_contract_is_tried_or_left_out_with_a_reason():
    tried = {case.number for case in table.CASES}
    tried |= set(table.GOLDEN) | set(table.ELSEWHERE) | set(table.LEFT_OUT)
    assert tried == set(range(1, 79))
    names = {case["name"] for case in SERVER}
    assert set(table.GOLDEN.values()) <= names
    assert set(SKIPPED) <= names
    assert {one.removeprefix("grpc:") for one in {case["api"] for case in GRPC}} <= set(
        METHODS
    )
