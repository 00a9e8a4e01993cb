"""Requests that the server answers before it serves a version, and must not fail."""

import importlib.util
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

from mtlzoo._extras import require
from mtlzoo.export import _examples
from mtlzoo.export._offer import EXAMPLES, ROWS, Offer

RECORDS = Path("assets.extra", "tf_serving_warmup_requests")
MANY_ROWS = 8

Inputs = Mapping[str, Mapping[str, Any]]


def wanted(warmup: bool | None) -> bool:
    """Return whether to record requests: as told, or where it can be done.

    Raises:
        MissingExtraError: told to, and it can't.
    """
    if warmup is None:
        return importlib.util.find_spec("tensorflow_serving") is not None
    if warmup:
        _protos()
    return warmup


def write(folder: Path, name: str, offer: Offer, inputs: Inputs) -> None:
    """Record a request for each signature with one row, and some with several.

    Args:
        folder: of the version.
        name: of the model, as the server will know it; it takes any.
        offer: what the version offers.
        inputs: golden rows in each form.
    """
    path = folder / RECORDS
    path.parent.mkdir()
    with tf.io.TFRecordWriter(str(path)) as writer:
        for log in _logs(name, offer, inputs):
            writer.write(log.SerializeToString(deterministic=True))


def _logs(name: str, offer: Offer, inputs: Inputs) -> Iterator[Any]:
    log = _protos()
    first = {name: array[:MANY_ROWS] for name, array in inputs[ROWS].items()}
    examples = _examples.to_examples(first) if offer.heads else []
    aliases = {
        f"{head.method}_{task}": head.method
        for task, head in offer.heads.items()
        if head.method
    }
    for signature, form in offer.forms.items():
        if signature in aliases:
            yield _example_log(log, name, signature, aliases[signature], examples[:1])
            continue
        # A second size of batch, since much is set up anew for each.
        for rows in (1, MANY_ROWS) if form in (ROWS, EXAMPLES) else (1,):
            request = log.PredictLog().request
            _set_spec(request.model_spec, name, signature)
            for key, array in inputs[form].items():
                request.inputs[key].CopyFrom(tf.make_tensor_proto(array[:rows]))
            yield log.PredictionLog(predict_log=log.PredictLog(request=request))
    if aliases:
        yield _multi_inference_log(log, name, aliases, examples)


def _example_log(
    log: Any, name: str, signature: str, method: str, examples: Any
) -> Any:
    made = log.PredictionLog()
    request = getattr(made, f"{method}_log").request
    _set_spec(request.model_spec, name, signature)
    request.input.example_list.examples.extend(examples)
    return made


def _multi_inference_log(
    log: Any, name: str, aliases: Mapping[str, str], examples: Any
) -> Any:
    made = log.PredictionLog()
    request = made.multi_inference_log.request
    for signature, method in aliases.items():
        task = request.tasks.add(method_name=f"tensorflow/serving/{method}")
        _set_spec(task.model_spec, name, signature)
    request.input.example_list.examples.extend(examples)
    return made


def _set_spec(spec: Any, name: str, signature: str) -> None:
    spec.name = name
    spec.signature_name = signature


def _protos() -> Any:
    return require(
        "tensorflow_serving.apis.prediction_log_pb2",
        extra="serving",
        what="Recording warmup requests",
    )
