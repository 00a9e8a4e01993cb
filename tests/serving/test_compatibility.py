"""Clients that others wrote get right answers from our server."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    predict_pb2,
)


def test_official_client(over_sockets):
    """The flow of TensorFlow Serving's own Python examples."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "mtl"
    request.model_spec.signature_name = "serving_default"
    request.inputs["a"].CopyFrom(tf.make_tensor_proto([[1.0, 2.0]]))
    request.inputs["b"].CopyFrom(tf.make_tensor_proto([[1.0, 2.0, 3.0]]))
    future = over_sockets.prediction.Predict.future(request, 10.0)
    outputs = future.result().outputs
    np.testing.assert_allclose(tf.make_ndarray(outputs["ctr"]), [[0.858148932]], 1e-6)
    assert tf.make_ndarray(outputs["topic"]).shape == (1, 3)

    status = get_model_status_pb2.GetModelStatusRequest()
    status.model_spec.name = "mtl"
    found = over_sockets.model.GetModelStatus(status, 10.0).model_version_status
    assert [one.version for one in found] == [2, 1]

    metadata = get_model_metadata_pb2.GetModelMetadataRequest()
    metadata.model_spec.name = "mtl"
    metadata.metadata_field.append("signature_def")
    answer = over_sockets.prediction.GetModelMetadata(metadata, 10.0)
    assert answer.model_spec.version.value == 2
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert answer.metadata["signature_def"].Unpack(signatures)
    assert set(signatures.signature_def["serving_default"].inputs) == {"a", "b"}


@pytest.mark.parametrize("fields", [[], ["zzz"]])
def test_metadata_refusals(fields, over_sockets):
    import grpc

    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=fields)
    request.model_spec.name = "mtl"
    words = "Metadata field zzz is not supported" if fields else "must specify at least"
    with pytest.raises(grpc.RpcError) as error:
        over_sockets.prediction.GetModelMetadata(request, 10.0)
    assert words in error.value.details()


@pytest.mark.parametrize(
    ("service", "status"), [("", 1), ("ModelService", 1), ("PredictionService", 1)]
)
def test_health(service, status, over_sockets):
    from mtlzoo.serving._health import HealthCheckRequest, HealthCheckResponse

    check = over_sockets.channel.unary_unary(
        "/grpc.health.v1.Health/Check",
        HealthCheckRequest.SerializeToString,
        HealthCheckResponse.FromString,
    )
    assert check(HealthCheckRequest(service=service), timeout=10).status == status


def test_health_of_an_unknown_service(over_sockets):
    import grpc

    check = over_sockets.channel.unary_unary("/grpc.health.v1.Health/Check")
    with pytest.raises(grpc.RpcError) as error:
        check(b"\x0a\x01x", timeout=10)
    assert error.value.code() == grpc.StatusCode.NOT_FOUND


class TestOvmsclient:
    """OpenVINO's client for the protocol of TensorFlow Serving.

    Without a version it asks for version 0, which OpenVINO's own server takes for the
    newest, and TensorFlow Serving for a version that isn't there.
    """

    @pytest.fixture(params=["grpc", "http"])
    def client(self, request, over_sockets):
        ovmsclient = pytest.importorskip("ovmsclient")
        if request.param == "grpc":
            return ovmsclient.make_grpc_client(over_sockets.grpc_address)
        return ovmsclient.make_http_client(over_sockets.address)

    def test_predict(self, client):
        inputs = {
            "a": np.array([[1, 2]], np.float32),
            "b": np.array([[1, 2, 3]], np.float32),
        }
        answers = client.predict(inputs, "mtl", 2)
        np.testing.assert_allclose(answers["ctr"], [[0.858148932]], rtol=1e-6)
        answers = client.predict(inputs, "mtl", 1)
        np.testing.assert_allclose(answers["ctr"], [[0.71094954]], rtol=1e-6)

    def test_status(self, client):
        status = client.get_model_status("mtl", 2)
        assert {one["state"] for one in status.values()} == {"AVAILABLE"}

    def test_metadata(self, client, request):
        if "http" in request.node.callspec.id:
            pytest.skip("over HTTP it reads the names of OpenVINO's server only")
        metadata = client.get_model_metadata("mtl", 2)
        assert set(metadata["inputs"]) == {"a", "b"}
        assert set(metadata["outputs"]) == {"ctr", "topic"}
        assert metadata["model_version"] == 2
