"""Where the conformance suite runs: without sockets, over them, or on a real server."""

import asyncio
import http.client
import json
import urllib.parse

import grpc
import httpx
from google.protobuf import text_format
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from mtlzoo import serving

METHODS = {
    "predict": ("Predict", predict_pb2.PredictRequest),
    "classify": ("Classify", classification_pb2.ClassificationRequest),
    "regress": ("Regress", regression_pb2.RegressionRequest),
    "multi": ("MultiInference", inference_pb2.MultiInferenceRequest),
    "metadata": ("GetModelMetadata", get_model_metadata_pb2.GetModelMetadataRequest),
    "status": ("GetModelStatus", get_model_status_pb2.GetModelStatusRequest),
    "reload": ("HandleReloadConfigRequest", model_management_pb2.ReloadConfigRequest),
}


def as_bytes(body):
    return body if isinstance(body, bytes) else body.encode()


class Addressed:
    """A server at an address."""

    has_grpc = True

    def __init__(self, rest, grpc_address):
        self.address, self.grpc_address = rest, grpc_address
        self.channel = grpc.insecure_channel(grpc_address)
        self.prediction = prediction_service_pb2_grpc.PredictionServiceStub(
            self.channel
        )
        self.model = model_service_pb2_grpc.ModelServiceStub(self.channel)

    def rest(self, method, path, body=b"", headers=None):
        """Return status, headers and body."""
        connection = http.client.HTTPConnection(self.address, timeout=30)
        try:
            connection.request(method, path, as_bytes(body), headers or {})
            response = connection.getresponse()
            return response.status, response.headers, response.read()
        finally:
            connection.close()

    def grpc(self, method, request):
        """Return the response to a message or its text, or raise an RpcError."""
        name, kind = METHODS[method]
        if isinstance(request, str):
            # What the golden files have for a reload is the config alone.
            text = f"config {{ {request} }}" if method == "reload" else request
            request = text_format.Parse(text, kind())
        stub = self.model if hasattr(self.model, name) else self.prediction
        return getattr(stub, name)(request, timeout=30)


class OverSockets(Addressed):
    """Our server in a thread, on ports of this machine."""

    def __init__(self, config, **options):
        self.server = serving.serve(config, port=0, grpc_port=0, **options)

    def __enter__(self):
        self.server.__enter__()
        super().__init__(
            *(
                urllib.parse.urlsplit(url).netloc
                for url in (self.server.url, self.server.grpc_url)
            )
        )
        return self

    def __exit__(self, *exception):
        self.channel.close()
        self.server.__exit__(*exception)


class InProcess:
    """Our REST application, called as a function."""

    has_grpc = False

    def __init__(self, config):
        self.config = config

    def __enter__(self):
        from mtlzoo.serving._config import read_config
        from mtlzoo.serving._server import Options, Running

        configs = read_config(self.config)
        self.runner = asyncio.Runner()
        self.running = self.runner.run(self._make(Running, configs, Options()))
        transport = httpx.ASGITransport(app=self.running.application)
        self.client = httpx.AsyncClient(transport=transport, base_url="http://inside")
        return self

    async def _make(self, running, configs, options):
        made = running(configs, options)
        await made.models.configure(configs)
        return made

    def rest(self, method, path, body=b"", headers=None):
        response = self.runner.run(
            self.client.request(method, path, content=as_bytes(body), headers=headers)
        )
        return response.status_code, response.headers, response.content

    def __exit__(self, *exception):
        self.runner.run(self.client.aclose())
        self.runner.run(self.running.models.close())
        self.runner.close()


def error_of(content):
    return json.loads(content)["error"]
