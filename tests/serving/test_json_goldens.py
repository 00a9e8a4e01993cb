"""The JSON layer alone, against what TensorFlow Serving's own answered."""

import json

import numpy as np
import pytest
from serving.goldens import JSON_TENSOR, dtype_named

from mtlzoo.serving import _json
from mtlzoo.serving._errors import ServingError

LEFT_OUT = {
    "row dup key in object": "the server makes a tensor of more values than its shape",
}
"""Golden cases that are a defect, which the next step of the server hides."""


def by(*operations):
    chosen = [case for case in JSON_TENSOR if case["op"] in operations]
    assert chosen
    return pytest.mark.parametrize(
        "case", chosen, ids=[case["name"] for case in chosen]
    )


def body_of(case):
    latin = case["body"].startswith("latin1:")
    return case["body"].removeprefix("latin1:").encode("latin-1" if latin else "utf-8")


def outcome(case, run):
    """Return what `run` gives, or check that it fails as the golden case says."""
    if case["code"] == 0:
        return run()
    with pytest.raises(ServingError) as error:
        run()
    assert error.value.message == case["message"]
    assert error.value.status.number == case["code"]
    return None


@by("predict_request")
def test_predict_request(case):
    dtypes = {name: dtype_named(one) for name, one in case["inputs"].items()}
    if case["name"] in LEFT_OUT:
        pytest.skip(LEFT_OUT[case["name"]])

    def run():
        request = _json.read_predict(body_of(case))
        return request, _json.read_tensors(request, dtypes)

    found = outcome(case, run)
    if found is None:
        return
    request, tensors = found
    assert request.signature == case["signature_name"]
    assert request.by_rows == (case["format"] == "row")
    assert tensors.keys() == case["tensors"].keys()
    for name, expected in case["tensors"].items():
        array = tensors[name]
        assert list(array.shape) == expected["shape"]
        assert array.ravel().tolist() == golden_array(expected).tolist()


def golden_array(tensor):
    dtype, values = dtype_named(tensor["dtype"]), tensor["values"]
    if dtype == "string":
        return np.array([one.encode("latin-1") for one in values], object)
    if dtype.startswith("float"):
        return np.array([float(one) for one in values]).astype(dtype)
    return np.array(values).astype(dtype)


@by("predict_response")
def test_predict_response(case):
    arrays = {}
    for name, tensor in case["outputs"].items():
        if tensor["dtype"] in ("f16", "bf16"):
            import ml_dtypes

            kind = {"f16": np.float16, "bf16": ml_dtypes.bfloat16}[tensor["dtype"]]
            arrays[name] = np.zeros(tensor["shape"], kind)
        else:
            arrays[name] = golden_array(tensor).reshape(tensor["shape"])

    by_rows = case["format"] == "row"
    found = outcome(case, lambda: _json.predict_response(arrays, by_rows=by_rows))
    if found is not None:
        golden = case["json"].encode("latin-1")
        assert numbers_as_written(found) == numbers_as_written(golden)


def numbers_as_written(body):
    """Parse with each number as its text, so that the digits are compared."""
    return json.loads(
        body.decode("latin-1"),
        parse_float=str,
        parse_int=str,
        parse_constant=str,
    )


@by("classify_request", "regress_request")
def test_examples_request(case):
    from google.protobuf import text_format
    from tensorflow_serving.apis import classification_pb2

    from mtlzoo.serving._examples import to_example

    found = outcome(case, lambda: _json.read_examples(body_of(case)))
    if found is None:
        return
    golden = text_format.Parse(
        case["proto"], classification_pb2.ClassificationRequest()
    )
    assert found.signature == golden.model_spec.signature_name
    with_context = golden.input.example_list_with_context
    expected = golden.input.example_list.examples or with_context.examples
    assert [repr(to_example(one)) for one in found.examples] == list(
        map(repr, expected)
    )
    if found.context is not None:
        assert repr(to_example(found.context)) == repr(with_context.context)


@by("clsres")
def test_classify_response(case):
    from google.protobuf import text_format
    from tensorflow_serving.apis import classification_pb2

    result = text_format.Parse(case["proto"], classification_pb2.ClassificationResult())
    results = [
        [(one.label, one.score) for one in classes.classes]
        for classes in result.classifications
    ]
    found = _json.classify_response(results)
    assert numbers_as_written(found) == numbers_as_written(case["json"].encode())


@by("regres")
def test_regress_response(case):
    from google.protobuf import text_format
    from tensorflow_serving.apis import regression_pb2

    result = text_format.Parse(case["proto"], regression_pb2.RegressionResult())
    values = [one.value for one in result.regressions]
    found = outcome(case, lambda: _json.regress_response(values))
    if found is not None:
        assert numbers_as_written(found) == numbers_as_written(case["json"].encode())


@by("error")
def test_error_response(case):
    assert _json.error_response(case["message"]).decode() == case["json"]


def test_every_operation_is_tried():
    tried = {"predict_request", "predict_response", "classify_request"}
    tried |= {"regress_request", "clsres", "regres", "error"}
    assert {case["op"] for case in JSON_TENSOR} == tried
    assert {case["name"] for case in JSON_TENSOR} >= set(LEFT_OUT)
