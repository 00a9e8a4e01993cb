"""Examples of classify and regress as the protos that models parse."""

from collections.abc import Sequence

from tensorflow.core.example import example_pb2
from tensorflow_serving.apis import input_pb2

from mtlzoo.serving._errors import invalid
from mtlzoo.serving._json._examples import ExamplesRequest, Features


def to_example(features: Features) -> example_pb2.Example:
    """Return features by name as an example."""
    example = example_pb2.Example()
    for name, values in features.items():
        feature = example.features.feature[name]
        if not values:
            continue
        if isinstance(values[0], bytes):
            feature.bytes_list.value.extend(values)
        elif isinstance(values[0], float):
            # The proto refuses a double that float32 can't hold; the server doesn't.
            feature.float_list.value.extend(map(_clamp, values))
        else:
            feature.int64_list.value.extend(values)
    return example


def from_json(request: ExamplesRequest) -> list[bytes]:
    """Return the serialized examples of a REST request."""
    context = b""
    if request.context is not None:
        context = to_example(request.context).SerializeToString()
    return [context + to_example(one).SerializeToString() for one in request.examples]


def from_input(source: input_pb2.Input) -> Sequence[bytes]:
    """Return the serialized examples of a gRPC request.

    What all examples share is put before each: one serialized proto after another is
    both of them merged, and on a feature that is in both the example wins.

    Raises:
        ServingError: there are none.
    """
    kind = source.WhichOneof("kind")
    context, examples = b"", source.example_list.examples
    if kind == "example_list_with_context":
        shared = source.example_list_with_context
        context, examples = shared.context.SerializeToString(), shared.examples
    if not examples:
        raise invalid("Input is empty.")
    return [context + one.SerializeToString() for one in examples]


def _clamp(value: float) -> float:
    limit = 3.4028234663852886e38
    if abs(value) <= limit or value != value:
        return value
    return float("inf") if value > 0 else float("-inf")
