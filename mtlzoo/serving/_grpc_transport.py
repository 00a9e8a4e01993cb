"""The gRPC protocol from the client's side."""

from collections.abc import Mapping, Sequence
from typing import Any

import grpc
from google.protobuf import json_format
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from mtlzoo.serving._errors import Code, ServingError
from mtlzoo.serving._examples import to_example
from mtlzoo.serving._json._examples import Features
from mtlzoo.serving._signature import Signature, from_metadata
from mtlzoo.serving._tensors import to_array, to_proto
from mtlzoo.serving._transport import Target, VersionStatus

_OPTIONS = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    # When to try again is the client's to say, and it does.
    ("grpc.enable_retries", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
]


class GrpcTransport:
    """A `Transport` over gRPC; may be used by several threads."""

    def __init__(self, address: str) -> None:
        self._channel = grpc.insecure_channel(address, options=_OPTIONS)
        self._prediction = prediction_service_pb2_grpc.PredictionServiceStub(
            self._channel
        )
        self._model = model_service_pb2_grpc.ModelServiceStub(self._channel)

    def predict(
        self,
        target: Target,
        signature: str,
        inputs: Mapping[str, Any],
        outputs: Mapping[str, str],
        timeout: float,
    ) -> dict[str, Any]:
        request = predict_pb2.PredictRequest(output_filter=list(outputs))
        _fill(request.model_spec, target, signature)
        for name, array in inputs.items():
            request.inputs[name].CopyFrom(to_proto(array))
        answer = _call(self._prediction.Predict, request, timeout)
        return {name: to_array(answer.outputs[name]) for name in outputs}

    def classify(
        self,
        target: Target,
        signature: str,
        examples: Sequence[Features],
        timeout: float,
    ) -> list[list[tuple[str, float]]]:
        request = classification_pb2.ClassificationRequest()
        _fill(request.model_spec, target, signature)
        request.input.example_list.examples.extend(map(to_example, examples))
        answer = _call(self._prediction.Classify, request, timeout)
        return _classes(answer.result)

    def regress(
        self,
        target: Target,
        signature: str,
        examples: Sequence[Features],
        timeout: float,
    ) -> list[float]:
        request = regression_pb2.RegressionRequest()
        _fill(request.model_spec, target, signature)
        request.input.example_list.examples.extend(map(to_example, examples))
        answer = _call(self._prediction.Regress, request, timeout)
        return [one.value for one in answer.result.regressions]

    def multi_inference(
        self,
        target: Target,
        tasks: Mapping[str, str],
        examples: Sequence[Features],
        timeout: float,
    ) -> dict[str, Any]:
        request = inference_pb2.MultiInferenceRequest()
        for name, method in tasks.items():
            task = request.tasks.add(method_name=f"tensorflow/serving/{method}")
            _fill(task.model_spec, target, name)
        request.input.example_list.examples.extend(map(to_example, examples))
        answer = _call(self._prediction.MultiInference, request, timeout)
        return {
            name: [one.value for one in result.regression_result.regressions]
            if result.HasField("regression_result")
            else _classes(result.classification_result)
            for name, result in zip(tasks, answer.results, strict=True)
        }

    def signatures(self, target: Target, timeout: float) -> dict[str, Signature]:
        request = get_model_metadata_pb2.GetModelMetadataRequest(
            metadata_field=["signature_def"]
        )
        _fill(request.model_spec, target)
        answer = _call(self._prediction.GetModelMetadata, request, timeout)
        found = get_model_metadata_pb2.SignatureDefMap()
        answer.metadata["signature_def"].Unpack(found)
        as_json = json_format.MessageToDict(
            found,
            preserving_proto_field_name=True,
            always_print_fields_with_no_presence=True,
        )
        return from_metadata({"metadata": {"signature_def": as_json}})

    def status(self, target: Target, timeout: float) -> list[VersionStatus]:
        request = get_model_status_pb2.GetModelStatusRequest()
        _fill(request.model_spec, target)
        answer = _call(self._model.GetModelStatus, request, timeout)
        states = get_model_status_pb2.ModelVersionStatus.State
        return [
            VersionStatus(one.version, states.Name(one.state), one.status.error_message)
            for one in answer.model_version_status
        ]

    def close(self) -> None:
        self._channel.close()


def _fill(spec: model_pb2.ModelSpec, target: Target, signature: str = "") -> None:
    spec.name = target.model
    spec.signature_name = signature
    if target.version is not None:
        spec.version.value = target.version
    elif target.label is not None:
        spec.version_label = target.label


def _classes(result: Any) -> list[list[tuple[str, float]]]:
    return [
        [(one.label, one.score) for one in row.classes]
        for row in result.classifications
    ]


def _call(method: Any, request: Any, timeout: float) -> Any:
    try:
        return method(request, timeout=timeout)
    except grpc.RpcError as error:
        status: Any = error
        raise ServingError(
            Code[status.code().name], status.details() or "no message"
        ) from error
