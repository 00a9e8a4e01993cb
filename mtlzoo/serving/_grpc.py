"""The gRPC interface: PredictionService, ModelService, and gRPC's health check."""

from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from google.protobuf.message import DecodeError, Message
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    model_pb2,
    predict_pb2,
    regression_pb2,
)

from mtlzoo.serving import _examples, _plans, _tensors
from mtlzoo.serving._config import from_proto
from mtlzoo.serving._errors import Code, ServingError, invalid
from mtlzoo.serving._health import HealthCheckRequest, HealthCheckResponse
from mtlzoo.serving._inference import Inference
from mtlzoo.serving._log import log
from mtlzoo.serving._models import Spec

MAX_MESSAGE = 4096
"""Characters of an error; it travels in a header, whose size clients limit."""

_SERVICES = ("", "ModelService", "PredictionService")


class Grpc:
    """The services of a server, as handlers for `grpc.aio`."""

    def __init__(self, inference: Inference) -> None:
        self._inference = inference
        self._models = inference.models
        self.serving = True

    def handlers(self) -> list[grpc.GenericRpcHandler]:
        """Return one handler a service."""
        services: dict[str, dict[str, tuple[Any, Any]]] = {
            "tensorflow.serving.PredictionService": {
                "Predict": (predict_pb2.PredictRequest, self._predict),
                "Classify": (classification_pb2.ClassificationRequest, self._classify),
                "Regress": (regression_pb2.RegressionRequest, self._regress),
                "MultiInference": (inference_pb2.MultiInferenceRequest, self._multi),
                "GetModelMetadata": (
                    get_model_metadata_pb2.GetModelMetadataRequest,
                    self._metadata,
                ),
            },
            "tensorflow.serving.ModelService": {
                "GetModelStatus": (
                    get_model_status_pb2.GetModelStatusRequest,
                    self._status,
                ),
                "HandleReloadConfigRequest": (
                    model_management_pb2.ReloadConfigRequest,
                    self._reload,
                ),
            },
            "grpc.health.v1.Health": {"Check": (HealthCheckRequest, self._check)},
        }
        return [
            grpc.method_handlers_generic_handler(
                service,
                {
                    name: grpc.unary_unary_rpc_method_handler(
                        self._handle(name, request_type, answer),
                        response_serializer=lambda message: message.SerializeToString(),
                    )
                    for name, (request_type, answer) in methods.items()
                },
            )
            for service, methods in services.items()
        ]

    def _handle(
        self,
        api: str,
        request_type: type[Message],
        answer: Callable[[Any], Awaitable[Message]],
    ) -> Any:
        async def handle(body: bytes, context: grpc.aio.ServicerContext) -> Message:
            # The body is parsed here: gRPC itself calls one that can't be an error of
            # the server's.
            try:
                async with self._inference.admitted(
                    api, "GRPC", seconds=context.time_remaining()
                ) as admitted:
                    try:
                        request = request_type.FromString(body)
                    except DecodeError as error:
                        raise invalid(f"The request is no {api} request") from error
                    admitted.model = _model_name(request)
                    return await answer(request)
            except ServingError as error:
                code = grpc.StatusCode[error.code]
                return await context.abort(code, error.message[:MAX_MESSAGE])
            except Exception:
                log.exception("A request failed in the server itself")
                return await context.abort(
                    grpc.StatusCode.INTERNAL, "The server failed"
                )

        return handle

    async def _predict(self, request: Any) -> Message:
        spec = _spec(request)
        with self._models.use(spec) as servable:
            inputs = {
                name: _tensors.to_array(one) for name, one in request.inputs.items()
            }
            answer = await self._inference.predict(
                servable, spec.signature, inputs, request.output_filter
            )
        response = predict_pb2.PredictResponse()
        for name, array in answer.outputs.items():
            response.outputs[name].CopyFrom(_tensors.to_proto(array))
        _fill(response.model_spec, answer.spec)
        return response

    async def _classify(self, request: Any) -> Message:
        examples = _examples.from_input(request.input)
        answer = await self._inference.classify(_spec(request), examples)
        response = classification_pb2.ClassificationResponse()
        _fill_classes(response.result, answer.outputs["results"])
        _fill(response.model_spec, answer.spec)
        return response

    async def _regress(self, request: Any) -> Message:
        examples = _examples.from_input(request.input)
        answer = await self._inference.regress(_spec(request), examples)
        response = regression_pb2.RegressionResponse()
        _fill_values(response.result, answer.outputs["results"])
        _fill(response.model_spec, answer.spec)
        return response

    async def _multi(self, request: Any) -> Message:
        if not request.tasks:
            raise invalid("ModelSpec has no name specified.")
        tasks = [(_spec(task), task.method_name) for task in request.tasks]
        examples = _examples.from_input(request.input)
        response = inference_pb2.MultiInferenceResponse()
        answers = await self._inference.multi(tasks, examples)
        for (_, method), answer in zip(tasks, answers, strict=True):
            result = response.results.add()
            if method == _plans.REGRESS:
                _fill_values(result.regression_result, answer.outputs["results"])
            else:
                _fill_classes(result.classification_result, answer.outputs["results"])
            _fill(result.model_spec, answer.spec)
        return response

    async def _metadata(self, request: Any) -> Message:
        spec = _spec(request)
        if not request.metadata_field:
            raise invalid(
                "GetModelMetadataRequest must specify at least one metadata_field"
            )
        for field in request.metadata_field:
            if field != "signature_def":
                raise invalid(f"Metadata field {field} is not supported")
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        with self._models.use(spec) as servable:
            found = get_model_metadata_pb2.SignatureDefMap()
            for name, definition in servable.signatures.items():
                found.signature_def[name].CopyFrom(definition)
            response.metadata["signature_def"].Pack(found)
            response.model_spec.name = servable.name
            response.model_spec.version.value = servable.version
        return response

    async def _status(self, request: Any) -> Message:
        if not request.HasField("model_spec"):
            raise invalid("Missing ModelSpec")
        spec = _spec(request)
        response = get_model_status_pb2.GetModelStatusResponse()
        for version in self._models.status(spec.name, spec.version):
            one = response.model_version_status.add(
                version=version.number, state=version.state.value
            )
            one.status.SetInParent()
            if version.error is not None:
                one.status.error_code = version.error.status.number
                one.status.error_message = version.error.message
        return response

    async def _reload(self, request: Any) -> Message:
        response = model_management_pb2.ReloadConfigResponse()
        await self._models.configure(from_proto(request.config))
        response.status.SetInParent()
        return response

    async def _check(self, request: Any) -> Message:
        if request.service not in _SERVICES:
            raise ServingError(Code.NOT_FOUND, f"Unknown service: {request.service}")
        up = self.serving and self._models.ready()
        return HealthCheckResponse(status=1 if up else 2)


def _spec(request: Any) -> Spec:
    if not request.HasField("model_spec"):
        raise invalid("Missing ModelSpec")
    spec: model_pb2.ModelSpec = request.model_spec
    if not spec.name:
        raise invalid("ModelSpec has no name specified.")
    chosen = spec.WhichOneof("version_choice")
    return Spec(
        spec.name,
        spec.version.value if chosen == "version" else None,
        spec.version_label if chosen == "version_label" else None,
        spec.signature_name,
    )


def _model_name(request: Any) -> str:
    if hasattr(request, "model_spec"):
        return str(request.model_spec.name)
    tasks = getattr(request, "tasks", ())
    return str(tasks[0].model_spec.name) if tasks else ""


def _fill(model_spec: model_pb2.ModelSpec, spec: Spec) -> None:
    model_spec.name = spec.name
    model_spec.signature_name = spec.signature
    model_spec.version.value = spec.version or 0


def _fill_classes(result: Any, rows: list[_plans.Classes]) -> None:
    for row in rows:
        classes = result.classifications.add().classes
        for label, score in row:
            classes.add(label=label, score=score)


def _fill_values(result: Any, values: list[float]) -> None:
    for value in values:
        result.regressions.add(value=value)
