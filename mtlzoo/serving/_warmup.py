"""Requests that a version answers before it serves: a test that comes with it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from mtlzoo.serving import _plans
from mtlzoo.serving._errors import invalid
from mtlzoo.serving._examples import from_input
from mtlzoo.serving._servable import Servable, errors_of_tensorflow, quiet
from mtlzoo.serving._tensors import to_array

RECORDS = Path("assets.extra", "tf_serving_warmup_requests")
MAX_RECORDS = 1000


def warm_up(servable: Servable) -> int:
    """Answer the requests recorded with a version; return how many there were.

    Raises:
        ServingError: one of them fails, which is to fail the load.
    """
    count = 0
    with errors_of_tensorflow():
        for log in read(servable.folder):
            count += 1
            if count > MAX_RECORDS:
                raise invalid(
                    "Number of warmup records exceeds the maximum "
                    f"({MAX_RECORDS}) at {servable.folder / RECORDS}"
                )
            _answer(servable, log)
    return count


def read(folder: Path) -> Iterator[Any]:
    """Yield the requests recorded in the folder of a version."""
    path = folder / RECORDS
    if not path.is_file():
        return
    with quiet():
        records = tf.compat.v1.io.tf_record_iterator(str(path))
    for record in records:
        yield prediction_log_pb2.PredictionLog.FromString(record)


def _answer(servable: Servable, log: Any) -> None:
    kind = log.WhichOneof("log_type")
    if kind == "predict_log":
        request = log.predict_log.request
        inputs = {name: to_array(one) for name, one in request.inputs.items()}
        _run(
            servable,
            _plans.plan_predict(
                servable,
                request.model_spec.signature_name,
                inputs,
                request.output_filter,
            ),
        )
        return
    if kind not in ("classify_log", "regress_log", "multi_inference_log"):
        raise invalid(f"Unsupported log_type for warmup: {kind}")
    request = getattr(log, kind).request
    examples = from_input(request.input)
    for signature, method in _tasks(kind, request):
        _run(servable, _plans.plan_examples(servable, signature, method, examples))


def _tasks(kind: str, request: Any) -> list[tuple[str, str]]:
    if kind == "multi_inference_log":
        return [
            (task.model_spec.signature_name, task.method_name) for task in request.tasks
        ]
    method = _plans.CLASSIFY if kind == "classify_log" else _plans.REGRESS
    return [(request.model_spec.signature_name, method)]


def _run(servable: Servable, plan: _plans.Plan) -> None:
    servable.run(plan.feeds, plan.fetches)
