"""The 78 cases of TensorFlow Serving's contract: which test tries each.

H is half_plus_two and M is mtl. A REST case has a method, a path, a body, a status,
and either the JSON of the answer or a part of its error.
"""

import dataclasses
import json
from typing import Any

H, M, K = (f"/v1/models/{name}" for name in ("half_plus_two", "mtl", "kinds"))
ROW = '{"instances":[1.0,2.0]}'


@dataclasses.dataclass(frozen=True)
class Rest:
    number: int
    method: str
    path: str
    body: str
    http: int
    expected: Any

    @property
    def name(self):
        return f"{self.number}-{self.method} {self.path[-40:]} {self.body[:40]}"


def get(number, path, http, expected):
    return Rest(number, "GET", path, "", http, expected)


def post(number, path, body, http, expected):
    body = body if isinstance(body, str) else json.dumps(body)
    return Rest(number, "POST", path, body, http, expected)


def fails(number, body, expected, model=H):
    return post(number, f"{model}:predict", body, 400, expected)


def named(signature, **body):
    return {"signature_name": signature, **body}


HALVED = {"predictions": [2.5, 3.0]}
X = "regress_x_to_y"
CASES = [
    get(
        4, "/v1/models/debug/model_name", 400, "Malformed request: GET /v1/models/debu"
    ),
    get(6, "/v1/models/foo:predict", 400, "Malformed request"),
    get(7, "/v1/models/foo/version/50:predict", 400, "Malformed request"),
    post(8, f"{H}/versions/HELLO:regress", ROW, 400, "Malformed request"),
    post(11, f"{H}/versions/50/labels/l:regress", ROW, 400, "Malformed request"),
    Rest(12, "PUT", f"{H}:predict", ROW, 400, "Malformed request: PUT"),
    post(13, "/v1/models/half%5Fplus%5Ftwo:predict", ROW, 200, HALVED),
    post(13, "/V1/models/half_plus_two:predict", ROW, 200, HALVED),
    post(13, "/v1/MODELS/half_plus_two/VERSIONS/123:predict", ROW, 200, HALVED),
    get(20, f"{H}/versions/9", 404, "Could not find version 9 of model half_plus_two"),
    post(
        25,
        f"{H}:predict",
        '{"instances":[[1.0,2.0],[3.0,4.0]]}',
        200,
        {"predictions": [[2.5, 3.0], [3.5, 4.0]]},
    ),
    post(26, f"{H}/versions/123:predict", ROW, 200, HALVED),
    post(27, f"{H}/labels/l:predict", ROW, 200, HALVED),
    post(
        28,
        f"{H}:predict",
        named("serving_default", instances=[3.0, 4.0]),
        200,
        {"predictions": [3.5, 4.0]},
    ),
    post(
        31,
        f"{M}:predict",
        {"inputs": {"a": [[0, 0]], "b": [[0, 0, 0]]}},
        200,
        {"outputs": {"ctr": [[0.5]], "topic": [[0.333333343] * 3]}},
    ),
    post(
        33,
        f"{K}:predict",
        '{"instances":[1,2.0,3,0.007]}',
        200,
        {"predictions": [1.0, 2.0, 3.0, 0.007]},
    ),
    post(
        34,
        f"{K}:predict",
        '{"instances":[1435774380,1435774380.0]}',
        200,
        {"predictions": [1435774336.0, 1435774336.0]},
    ),
    post(
        35,
        f"{K}:predict",
        '{"instances":[1.7976931348623157e308,-1e308,1e-308]}',
        200,
        {"predictions": [float("inf"), float("-inf"), 0.0]},
    ),
    post(
        36,
        f"{K}:predict",
        '{"instances":[Infinity,-Inf]}',
        200,
        {"predictions": [float("inf"), float("-inf")]},
    ),
    post(
        37,
        "/v1/models/scalar:predict",
        named(
            "strings", instances=[{"b64": "aGVsbG8="}, {"s": {"b64": "aGVsbG8"}}][:1]
        ),
        200,
        {"predictions": [{"echo": "hello", "echo_bytes": {"b64": "aGVsbG8="}, "n": 5}]},
    ),
    post(
        37,
        "/v1/models/scalar:predict",
        named("strings", instances=[{"s": {"b64": "aGVsbG8="}}]),
        200,
        {"predictions": [{"echo": "hello", "echo_bytes": {"b64": "aGVsbG8="}, "n": 5}]},
    ),
    post(
        37,
        "/v1/models/scalar:predict",
        named("strings", inputs=[{"b64": "aGVsbG8="}]),
        200,
        {"outputs": {"echo": ["hello"], "echo_bytes": [{"b64": "aGVsbG8="}], "n": [5]}},
    ),
    post(
        39,
        f"{H}:predict",
        '{"instances":[1.0,2.0],"nested":' + "[" * 500_000 + "]" * 500_000 + "}",
        200,
        HALVED,
    ),
    post(
        40,
        f"{K}:predict",
        '{"instances":[9000000,999999,0.5,0.0003,0.00003,555557.5]}',
        200,
        {"predictions": [9e6, 999999.0, 0.5, 0.0003, 3e-05, 555557.5]},
    ),
    post(41, f"{K}:predict", named("none", instances=[1.0]), 200, {"predictions": []}),
    post(
        42,
        f"{M}:predict",
        {"inputs": {"a": [[0, 0]], "b": [[0, 0, 0]], "c": 1}},
        200,
        {"outputs": {"ctr": [[0.5]], "topic": [[0.333333343] * 3]}},
    ),
    post(43, f"{H}:predict", ROW + "garbage", 200, HALVED),
    fails(47, "", "JSON Parse error: The document is empty"),
    fails(48, "instances = [1, 2]", "JSON Parse error: Invalid value. at offset: 0"),
    fails(49, '{"instances":["x","y"]}', "not of expected type: float"),
    fails(50, '{"signature_name":100}', "'signature_name' key must be a string value."),
    fails(
        51, '{"instances":[1],"inputs":[1]}', "Not formatted correctly expecting only"
    ),
    fails(52, "{}", "Missing 'inputs' or 'instances' key"),
    fails(53, '{"instances":[]}', "No values in 'instances' array"),
    fails(54, '{"instances":{}}', "Expecting 'instances' to be an list/array"),
    fails(
        55, '{"instances":[[1,2],[3,4],[5,6,7]]}', "Expecting tensor size: 2 but got: 3"
    ),
    fails(
        56, '{"instances":[[1,2],[3,4],[[5,6]]]}', "Expecting shape [2] but got: [1,2]"
    ),
    fails(57, '{"instances":[1,[1]]}', "Expecting shape [] but got: [1]"),
    fails(58, '{"instances":[{"x":1},[1]]}', "Expecting object but got list"),
    fails(58, '{"instances":[[1],{"x":1}]}', "Expecting value/list but got object"),
    fails(
        59, '{"instances":[1]}', "instances is a plain list, but expecting list of", M
    ),
    fails(59, '{"inputs":[1]}', "inputs is a plain value/list, but expecting", M),
    fails(60, '{"instances":[{"a":[1,2]}]}', "keys must be equal to: a,b", M),
    fails(60, '{"instances":[{"a":1,"b":1,"c":1}]}', "does not have named input: c", M),
    fails(
        61, '{"inputs":{"a":[[1,2]]}}', "Missing named input: b in 'inputs' object.", M
    ),
    fails(62, named("whole", instances=[1.0]), "is not of expected type: int32", K),
    post(
        63, f"{M}/labels/zzz:predict", ROW, 400, "Unrecognized servable version label"
    ),
    post(
        64,
        "/v1/models/foo:predict",
        ROW,
        404,
        "Servable not found for request: Latest(foo)",
    ),
    fails(
        65,
        named("nope", instances=[1.0]),
        'Serving signature name: "nope" not found in signature def',
    ),
    fails(
        66,
        named("brain", instances=[1.0]),
        "Failed to write JSON value for tensor type: bfloat16",
        K,
    ),
    fails(67, named("unequal", instances=[1.0]), "has inconsistent batch size:", K),
    post(
        69,
        f"{H}:regress",
        '{"signature_name":"regress_x_to_y","examples":[{"x":80.0}]}',
        200,
        {"results": [42.0]},
    ),
    post(72, f"{H}:classify", named(X, examples={}), 400, "to be an list/array"),
    post(72, f"{H}:classify", named(X, examples=[]), 400, "is an empty array"),
    post(
        72,
        f"{H}:classify",
        named(X, examples=[[1]]),
        400,
        "must be JSON object but got",
    ),
    post(
        72,
        f"{H}:classify",
        named(X, examples=[{"x": None}]),
        400,
        "unexpected JSON type",
    ),
    post(
        72,
        f"{H}:classify",
        named(X, examples=[{"x": [10, 10.0]}]),
        400,
        "Unexpected element type in feature: x",
    ),
    post(
        72, f"{H}:classify", named(X, examples=[{"x": 18446744073709551603}]), 400, ""
    ),
    post(
        73,
        f"{H}:regress",
        named(X, context={"x": 2.0}, examples=[{}, {"x": 4.0}]),
        200,
        {"results": [3.0, 4.0]},
    ),
]
"""Cases over REST that no golden response has, or has in another form."""

GOLDEN = {
    1: "route GET /v1/foo",
    2: "route POST /v1/foo",
    3: "route GET /v1/models",
    5: "route POST /v1/models",
    9: "route POST /v1/models/half_plus_two/versions/18446744073709551615:regress",
    10: "route POST /v1/models/half_plus_two/metadata",
    12: "route DELETE /v1/models/half_plus_two",
    16: "hp2 status",
    17: "hp2 status v123",
    19: "status label undefined",
    21: "status unknown model",
    22: "mtl status all versions",
    23: "hp2 metadata",
    24: "mtl metadata v9",
    29: "hp2 columnar",
    30: "mtl row latest",
    32: "hp2 predict v",
    36: "mtl NaN in",
    38: "string echo + _bytes",
    44: "scalar out col",
    45: "output_filter",
    67: "scalar out row",
    70: "hp2 classify",
    71: "hp2 regress int feature for float spec",
}
"""Cases that are golden responses."""

ELSEWHERE = {
    14: "test_conformance.py::test_other_paths_are_no_json",
    15: "test_conformance.py::test_options",
    18: "test_conformance.py::test_status_by_label",
    46: "test_conformance.py::test_input_with_a_default",
    65: "test_conformance.py::test_golden[bad sig]",
    74: "test_conformance.py::test_multi_inference",
    75: "test_conformance.py::test_multi_inference_refusals",
    76: "test_lifecycle.py::test_new_version_and_rollback",
    77: "test_reload.py::test_labels",
    78: "test_lifecycle.py::test_warmup",
}

LEFT_OUT = {
    68: "needs a server that is built without XLA; TensorFlow's Python package has it",
}
