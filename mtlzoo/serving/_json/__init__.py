"""The JSON of TensorFlow Serving's REST interface: requests in, responses out.

Nothing here needs a model, a server or TensorFlow: signatures come as names with their
types, tensors as NumPy arrays. What is accepted, what is refused and the words of each
refusal are those of the server, whose parser is RapidJSON.
"""

from mtlzoo.serving._json._examples import (
    ExamplesRequest,
    classify_response,
    read_examples,
    regress_response,
)
from mtlzoo.serving._json._parse import parse
from mtlzoo.serving._json._predict import PredictRequest, read_predict, read_tensors
from mtlzoo.serving._json._response import error_response, predict_response

__all__ = [
    "ExamplesRequest",
    "PredictRequest",
    "classify_response",
    "error_response",
    "parse",
    "predict_response",
    "read_examples",
    "read_predict",
    "read_tensors",
    "regress_response",
]
