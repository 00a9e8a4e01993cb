"""Deployment files are what the server, Compose and KServe read."""

import pytest
import yaml
from google.protobuf import text_format

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


def test_monitoring(deployed):
    """The proto of this file and the next isn't published: their fields are known."""
    text = "".join(fields(deployed["monitoring.config"])).replace(" ", "")
    path = "/monitoring/prometheus/metrics"
    assert text == f'prometheus_config{{enable:truepath:"{path}"}}'


def fields(text):
    lines = text.splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def test_batching(deployed):
    lines = fields(deployed["batching.config"])
    assert {line.split(" ")[0].rstrip(":") for line in lines} == {
        "max_batch_size",
        "batch_timeout_micros",
        "num_batch_threads",
        "max_enqueued_batches",
        "allowed_batch_sizes",
    }
    sizes = [int(line.split(": ")[1]) for line in lines if line.startswith("allowed")]
    assert sizes == sorted(sizes)
    assert f"max_batch_size {{ value: {sizes[-1]} }}" in lines


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
