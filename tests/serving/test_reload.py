"""Which models are served is changed while the server runs."""

import grpc
import pytest
import tensorflow as tf
from serving.backends import OverSockets
from serving.test_lifecycle import OPTIONS, ROW, prediction, publish, states
from tensorflow_serving.apis import predict_pb2


def config_of(*models, extra=""):
    return (
        "model_config_list {"
        + "".join(
            f'config {{ name: "{name}" base_path: "{base}" '
            f'model_platform: "tensorflow" {extra} }} '
            for name, base in models
        )
        + "}"
    )


def reload(backend, text):
    return backend.grpc("reload", text)


def test_labels(half, plus_three, tmp_path):
    for version, source in ((1, half), (2, plus_three)):
        publish(source, tmp_path / "m", version)
    every = "model_version_policy { all {} }"
    label = 'version_labels {{ key: "stable" value: {} }}'
    with OverSockets(tmp_path / "m", **OPTIONS) as backend:
        for version, answer in ((1, 2.5), (2, 3.5)):
            extra = every + label.format(version)
            reload(backend, config_of(("m", tmp_path / "m"), extra=extra))
            path = "/v1/models/m/labels/stable:predict"
            assert prediction(backend, path) == [answer]
        with pytest.raises(grpc.RpcError) as error:
            reload(
                backend, config_of(("m", tmp_path / "m"), extra=every + label.format(9))
            )
        assert error.value.code().name == "FAILED_PRECONDITION"
        assert error.value.details() == (
            "Request to assign label to version 9 of model m, which is not currently "
            "available for inference"
        )
        assert prediction(backend, path) == [3.5]
        request = predict_pb2.PredictRequest()
        request.model_spec.name = "m"
        request.model_spec.version_label = "stable"
        request.inputs["x"].CopyFrom(tf.make_tensor_proto([1.0]))
        assert backend.grpc("predict", request).model_spec.version.value == 2


def test_reload_replaces_the_models(half, tmp_path):
    for name in ("one", "two"):
        publish(half, tmp_path / name, 1)
    with OverSockets(tmp_path / "one", **OPTIONS) as backend:
        assert prediction(backend, "/v1/models/one:predict") == [2.5]
        reload(backend, config_of(("two", tmp_path / "two")))
        assert prediction(backend, "/v1/models/two:predict") == [2.5]
        assert backend.rest("POST", "/v1/models/one:predict", ROW)[0] == 404
        with pytest.raises(grpc.RpcError) as error:
            reload(
                backend, "model_config_list { config { name: 'x' base_path: '/x' } }"
            )
        assert "Illegal setting neither" in error.value.details()
        # Unlike the real server, ours takes the next one all the same.
        reload(backend, config_of(("one", tmp_path / "one"), ("two", tmp_path / "two")))
        assert prediction(backend, "/v1/models/one:predict") == [2.5]


def test_reload_with_bad_models_serves_the_good_ones(half, tmp_path):
    publish(half, tmp_path / "good", 1)
    publish(half, tmp_path / "bad", 1)
    (tmp_path / "bad" / "1" / "saved_model.pb").write_bytes(b"\xff")
    (tmp_path / "empty").mkdir()
    with OverSockets(tmp_path / "good", **OPTIONS) as backend:
        models = [(name, tmp_path / name) for name in ("good", "bad", "empty")]
        with pytest.raises(grpc.RpcError) as error:
            reload(backend, config_of(*models))
        assert error.value.code().name == "UNKNOWN"
        words = error.value.details()
        assert words.startswith("2 model(s) did not become available: {{{name: bad ver")
        assert "{name: empty} has no version in" in words
        assert prediction(backend, "/v1/models/good:predict") == [2.5]
        assert backend.rest("GET", "/healthz")[0] == 503


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("", "FAILED_PRECONDITION", "Cannot transition to requested config"),
        (config_of(("", "/x")), "INVALID_ARGUMENT", "Model config needs a name"),
        (
            config_of(("m", "/x"), ("m", "/x")),
            "INVALID_ARGUMENT",
            "Illegal to list model a multiple times in config list: m",
        ),
        (
            "model_config_list { config { name: 'm' base_path: '/x' "
            "model_platform: 'y' } }",
            "INVALID_ARGUMENT",
            "Model m requests unsupported platform y",
        ),
        (
            config_of(("m", "/x"), extra="model_version_policy { specific {} }"),
            "INVALID_ARGUMENT",
            "A specific version policy needs at least one version",
        ),
    ],
)
def test_refused_configs(text, code, words, over_sockets):
    with pytest.raises(grpc.RpcError) as error:
        reload(over_sockets, text)
    assert error.value.code().name == code
    assert error.value.details().startswith(words)


def test_policies(half, tmp_path):
    for version in (1, 2, 3):
        publish(half, tmp_path / "m", version)
    with OverSockets(tmp_path / "m", **OPTIONS) as backend:
        assert states(backend) == {3: ("AVAILABLE", "")}
        for policy, expected in (
            ("latest { num_versions: 2 }", {2, 3}),
            ("specific { versions: 1 versions: 3 }", {1, 3}),
            ("all {}", {1, 2, 3}),
        ):
            extra = f"model_version_policy {{ {policy} }}"
            reload(backend, config_of(("m", tmp_path / "m"), extra=extra))
            found = {one for one, state in states(backend).items() if "AV" in state[0]}
            assert found == expected
