"""Deployment files are what the server, Compose and KServe read."""

import pytest
import yaml
from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    message_factory,
    text_format,
    wrappers_pb2,
)

from mtlzoo import export
from mtlzoo.errors import ExportError


@pytest.fixture
def served(tmp_path):
    """Two models, of which only the folders matter here."""
    for name in ("income/1", "income/12", "big_photos/3"):
        (tmp_path / "serving" / name).mkdir(parents=True)
    return tmp_path / "serving"


@pytest.fixture
def deployed(served, tmp_path):
    models = [served / "income", served / "big_photos"]
    files = export.deployment(models, tmp_path / "deploy")
    return {path.name: path.read_text() for path in files}


def parsed(text, module, message):
    protos = pytest.importorskip(f"tensorflow_serving.{module}")
    return text_format.Parse(text, getattr(protos, message)())


def test_models(deployed):
    found = parsed(
        deployed["models.config"],
        "config.model_server_config_pb2",
        "ModelServerConfig",
    )
    models = found.model_config_list.config
    assert [one.name for one in models] == ["income", "big_photos"]
    for one in models:
        assert one.base_path == f"/models/{one.name}"
        assert one.model_platform == "tensorflow"
        assert one.model_version_policy.latest.num_versions == 1
    assert 'key: "stable" value: 12' in deployed["models.config"]


def test_what_is_commented_out_is_valid_too(deployed):
    text = deployed["models.config"]
    for line in ("# version_labels", "# specific"):
        text = text.replace(line, line.removeprefix("# "))
    text = text.replace("model_version_policy { latest { num_versions: 1 } }", "")
    text = text.replace("specific { versions: 12 }.", "")
    text = text.replace("specific { versions: 3 }.", "")
    found = parsed(text, "config.model_server_config_pb2", "ModelServerConfig")
    assert found.model_config_list.config[0].version_labels == {"stable": 12}


def published(message, fields):
    """Return the class of a message of the server's that no package has in Python.

    Args:
        message: its name.
        fields: of `monitoring_config.proto` or `session_bundle_config.proto`, by name:
            number, type, and whether it is repeated.
    """
    file = descriptor_pb2.FileDescriptorProto(
        name=f"{message}.proto", package="tensorflow.serving", syntax="proto3"
    )
    file.dependency.append("google/protobuf/wrappers.proto")
    nested = file.message_type.add(name="PrometheusConfig")
    nested.field.add(name="enable", number=1, type="TYPE_BOOL", label="LABEL_OPTIONAL")
    nested.field.add(name="path", number=2, type="TYPE_STRING", label="LABEL_OPTIONAL")
    found = file.message_type.add(name=message)
    for name, (number, kind, label) in fields.items():
        field = found.field.add(name=name, number=number, label=f"LABEL_{label}")
        if kind.startswith("."):
            field.type, field.type_name = field.TYPE_MESSAGE, kind
        else:
            field.type = getattr(field, f"TYPE_{kind}")
    pool = descriptor_pool.DescriptorPool()
    wrappers = descriptor_pb2.FileDescriptorProto()
    wrappers_pb2.DESCRIPTOR.CopyToProto(wrappers)
    pool.Add(wrappers)
    pool.Add(file)
    return message_factory.GetMessageClass(
        pool.FindMessageTypeByName(f"tensorflow.serving.{message}")
    )


def test_monitoring(deployed):
    config = published(
        "MonitoringConfig",
        {"prometheus_config": (1, ".tensorflow.serving.PrometheusConfig", "OPTIONAL")},
    )()
    text_format.Parse(deployed["monitoring.config"], config)
    assert config.prometheus_config.enable
    assert config.prometheus_config.path == "/monitoring/prometheus/metrics"


def test_batching(deployed):
    wrapped = ".google.protobuf.Int64Value"
    config = published(
        "BatchingParameters",
        {
            "max_batch_size": (1, wrapped, "OPTIONAL"),
            "batch_timeout_micros": (2, wrapped, "OPTIONAL"),
            "max_enqueued_batches": (3, wrapped, "OPTIONAL"),
            "num_batch_threads": (4, wrapped, "OPTIONAL"),
            "thread_pool_name": (5, ".google.protobuf.StringValue", "OPTIONAL"),
            "allowed_batch_sizes": (6, "INT64", "REPEATED"),
            "pad_variable_length_inputs": (7, "BOOL", "OPTIONAL"),
        },
    )()
    text_format.Parse(deployed["batching.config"], config)
    sizes = list(config.allowed_batch_sizes)
    assert sizes == sorted(sizes)
    assert sizes[-1] == config.max_batch_size.value
    assert config.HasField("batch_timeout_micros")
    assert min(config.num_batch_threads.value, config.max_enqueued_batches.value) > 0


def test_compose(deployed, served):
    service = yaml.safe_load(deployed["compose.yaml"])["services"]["serving"]
    assert f"${{MODELS:-{served}}}:/models:ro" in service["volumes"]
    mounted = {one.rsplit(":", 2)[-2] for one in service["volumes"]}
    named = [one.split("=")[1] for one in service["command"] if "/config/" in one]
    assert len(named) == 3
    assert set(named) < mounted
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])


def test_kserve(deployed):
    services = list(yaml.safe_load_all(deployed["inference_service.yaml"]))
    assert [one["metadata"]["name"] for one in services] == ["income", "big-photos"]
    for one, name in zip(services, ("income", "big_photos"), strict=True):
        assert one["apiVersion"] == "serving.kserve.io/v1beta1"
        model = one["spec"]["predictor"]["model"]
        assert model["modelFormat"] == {"name": "tensorflow"}
        assert model["storageUri"].endswith(f"/{name}")


def test_what_is_there_stays(deployed, served, tmp_path):
    (tmp_path / "deploy" / "compose.yaml").unlink()
    before = sorted((tmp_path / "deploy").iterdir())
    with pytest.raises(ExportError, match=r"models\.config.* already, and may have"):
        export.deployment([served / "income"], tmp_path / "deploy")
    assert sorted((tmp_path / "deploy").iterdir()) == before


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda served: [], "at least one exported model"),
        (lambda served: [served / "other"], "No exported model is in .*other"),
        (lambda served: [served / "a b"], "must be named as servers.*'a b'"),
        (lambda served: [served / "income", served / "Income"], "one name: income"),
        (
            lambda served: [served / "income", served / "nested" / "more"],
            "must lie in one folder",
        ),
    ],
)
def test_refusals(make, message, served, tmp_path):
    for name in ("a b/1", "Income/1", "nested/more/1"):
        (served / name).mkdir(parents=True)
    with pytest.raises(ExportError, match=message):
        export.deployment(make(served), tmp_path / "deploy")
    assert not (tmp_path / "deploy").exists()


def test_folder_that_can_not_be_written(served, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ExportError, match="Can't write in"):
        export.deployment([served / "income"], tmp_path / "file" / "deploy")
