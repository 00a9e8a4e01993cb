"""Ten thousand requests, wrong in every way: all are answered, none breaks it."""

import http.client
import json
import os
import random

import grpc
import pytest
from serving.backends import METHODS
from serving.test_faults import process

REQUESTS = 10_000
BROKEN = ("INTERNAL", "UNKNOWN", "UNAVAILABLE")
MODELS = ["half_plus_two", "mtl", "scalar", "kinds", "nope", "", "%00", "é"]
SIGNATURES = ["serving_default", "strings", "whole", "optional", "brain", "labelled"]
SIGNATURES += ["regress_x_to_y", "classify_x_to_y", "nope", "", "__saved_model_init_op"]
LEAVES = [
    "1",
    "-0",
    "1e400",
    "1e39",
    "NaN",
    "-Inf",
    "Infinity",
    "nan",
    "0x1",
    "01",
    "1.",
]
LEAVES += [
    "99999999999999999999",
    "true",
    "null",
    '"x"',
    '"\\ud800"',
    '"\\u00"',
    '"\\x"',
]
LEAVES += ['{"b64":"aGk="}', '{"b64":"_"}', '{"b64":1}', "[]", "{}", '"\x01"', "", "+1"]
KEYS = ["x", "a", "b", "s", "instances", "inputs", "examples", "context", "b64", "é"]
KEYS += ["signature_name", "scale"]


def value(random, depth):
    kind = random.random()
    if depth == 0 or kind < 0.4:
        return random.choice(LEAVES)
    count = random.choice([0, 1, 2, 2, 3, 40])
    if kind < 0.75:
        return "[" + ",".join(value(random, depth - 1) for _ in range(count)) + "]"
    return document(random, depth - 1, count)


def document(random, depth, count):
    pairs = [
        f'"{random.choice(KEYS)}"{random.choice([":"] * 20 + ["", "::"])}'
        f"{value(random, depth)}"
        for _ in range(count)
    ]
    return "{" + random.choice([","] * 20 + [",,", ""]).join(pairs) + "}"


def body(random):
    pairs = [f'"signature_name": "{random.choice(SIGNATURES)}"']
    pairs += [
        f'"{key}": {value(random, 4)}'
        for key in random.choice(
            [["instances"], ["inputs"], ["examples"], ["context", "examples"], []]
        )
    ]
    text = "{" + ", ".join(pairs) + "}"
    if random.random() < 0.2:
        text = value(random, 5)
    found = bytearray(text.encode("utf-8", "surrogatepass"))
    while found and random.random() < 0.3:  # as if it were damaged on the way
        at = random.randrange(len(found))
        found[at : at + random.choice([0, 1, 1, 9])] = random.randbytes(
            random.randrange(4)
        )
    return bytes(found)


def path(random):
    model = f"/v1/models/{random.choice(MODELS)}"
    which = random.choice(
        ["", "", "/versions/1", "/versions/99", "/labels/l", "/versions/-1"]
    )
    verb = random.choice(
        [":predict", ":predict", ":regress", ":classify", "/metadata", ":x"]
    )
    return urlsafe(model + which + verb)


def urlsafe(text):
    return text.encode().decode("latin-1")


def ask_rest(address, count, seed):
    chosen = random.Random(seed)
    statuses = set()
    connection = http.client.HTTPConnection(address, timeout=30)
    for _ in range(count):
        method = chosen.choice(["POST"] * 9 + ["GET", "PUT"])
        content, where = body(chosen), path(chosen)
        connection.putrequest(method, where.replace("é", "%C3%A9").replace("Ã©", "%E9"))
        connection.putheader("Content-Length", str(len(content)))
        connection.endheaders(content)
        response = connection.getresponse()
        answer = response.read()
        statuses.add(response.status)
        assert response.status in (200, 400, 404, 429), (where, content, answer)
    connection.close()
    return statuses


def message(random, kind):
    """Return a message of that kind with random fields, or bytes that are none."""
    found = kind()
    fill(random, found, 4)
    content = bytearray(found.SerializeToString())
    while content and random.random() < 0.3:
        at = random.randrange(len(content))
        content[at : at + random.randrange(3)] = random.randbytes(random.randrange(3))
    return bytes(content)


def scalar(random, field):
    if field.cpp_type == field.CPPTYPE_STRING:
        text = random.choice(
            [*MODELS[:5], *SIGNATURES, *KEYS, "tensorflow/serving/regress"]
        )
        return text.encode() if field.type == field.TYPE_BYTES else text
    if field.cpp_type in (field.CPPTYPE_FLOAT, field.CPPTYPE_DOUBLE):
        return random.choice([0.0, 1.5, float("nan"), 1e30])
    if field.cpp_type == field.CPPTYPE_BOOL:
        return random.random() < 0.5
    if field.cpp_type == field.CPPTYPE_ENUM:
        return random.choice([0, 1, 1, 1, 2, 3, 7, 7, 9, 14, 20, 99])
    return random.choice([0, 1, 1, 2, 3, 124, 2**31 - 1])


def fill(random, found, depth):
    for field in found.DESCRIPTOR.fields:
        if random.random() < (0.5 if depth < 4 else 0.25) or depth == 0:
            continue
        count = random.choice([1, 1, 2, 3])
        if field.message_type and field.message_type.GetOptions().map_entry:
            values = getattr(found, field.name)
            for _ in range(count):
                key = random.choice(KEYS)
                if field.message_type.fields_by_name["value"].message_type:
                    fill(random, values[key], depth - 1)
        elif field.is_repeated:
            values = getattr(found, field.name)
            for _ in range(count):
                if field.message_type:
                    fill(random, values.add(), depth - 1)
                else:
                    values.append(scalar(random, field))
        elif field.message_type:
            fill(random, getattr(found, field.name), depth - 1)
        elif not (field.name == "platform" or field.name == "base_path"):
            setattr(found, field.name, scalar(random, field))


def ask_grpc(address, count, seed):
    chosen = random.Random(seed)
    codes = set()
    methods = [one for key, one in METHODS.items() if key != "reload"]
    with grpc.insecure_channel(address) as channel:
        for _ in range(count):
            name, kind = chosen.choice(methods)
            service = (
                "ModelService" if name == "GetModelStatus" else "PredictionService"
            )
            call = channel.unary_unary(f"/tensorflow.serving.{service}/{name}")
            content = message(chosen, kind)
            code = grpc.StatusCode.OK
            try:
                call(content, timeout=30)
            except grpc.RpcError as error:
                code = error.code()
            codes.add(code.name)
            assert code.name not in BROKEN, (name, content)
    return codes


def resident(pid):
    """Return the bytes of memory that a process has."""
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="needs Linux")
@pytest.mark.parametrize("max_batch_size", [0, 32])
def test_malformed_requests(max_batch_size, zoo):
    ports = ("--port", 0, "--grpc-port", 0, "--max-batch-size", max_batch_size)
    with process(zoo, *ports) as (server, said):
        rest, grpc_address = (said[key].split("//")[1] for key in ("rest", "grpc"))
        ask_rest(rest, 500, seed=1)
        ask_grpc(grpc_address, 500, seed=1)
        before = resident(server.pid)
        statuses = ask_rest(rest, REQUESTS // 4, seed=2)
        codes = ask_grpc(grpc_address, REQUESTS // 4, seed=2)
        growth = resident(server.pid) - before
        assert server.poll() is None
        assert {200, 400, 404} <= statuses
        assert {"OK", "INVALID_ARGUMENT", "NOT_FOUND"} <= codes
        assert growth < 50 << 20, f"{growth >> 20} MB more than before"
        connection = http.client.HTTPConnection(rest)
        connection.request("GET", "/v1/models/mtl")
        assert json.loads(connection.getresponse().read())["model_version_status"]
        connection.close()
