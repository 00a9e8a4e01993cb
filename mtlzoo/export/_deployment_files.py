"""The texts of the files that `deployment` writes."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

IMAGE = "tensorflow/serving:latest"
FOLDER, CONFIG = "/models", "/config"
LARGEST_BATCH = 64
BATCH_SIZES = (1, 2, 4, 8, 16, 32, LARGEST_BATCH)


def models(numbers: Mapping[str, int]) -> str:
    """Return models.config, from the newest version of each model by name."""
    configs = "".join(_model(name, newest) for name, newest in numbers.items())
    return f"""\
# Which models tensorflow_model_server serves: --model_config_file.
# This is protocol buffer text, not JSON. The server reads it again every
# --model_config_file_poll_wait_seconds; what is missing in it then is unloaded.
model_config_list {{
{configs}}}
"""


def _model(name: str, newest: int) -> str:
    return f"""\
  config {{
    name: {json.dumps(name)}
    base_path: {json.dumps(f"{FOLDER}/{name}")}
    # Never leave it out: a reload without it blocks all later ones until a restart.
    model_platform: "tensorflow"
    # The newest version; a new one is loaded before the old one is unloaded. To keep
    # the one before at hand for a rollback: num_versions: 2. To pin versions instead:
    # specific {{ versions: {newest} }}.
    model_version_policy {{ latest {{ num_versions: 1 }} }}
    # Clients may then ask for a label in place of a number. A label must point to a
    # version that is loaded, so pin it above, and move it after that.
    # version_labels {{ key: "stable" value: {newest} }}
  }}
"""


def batching() -> str:
    """Return batching.config."""
    sizes = "\n".join(f"allowed_batch_sizes: {size}" for size in BATCH_SIZES)
    return f"""\
# How requests are put together: --enable_batching --batching_parameters_file.
# Requests are batched by signature; clients that ask different ones don't share.

# Rows a batch holds at most. A request of more rows is refused, so at least the rows
# of your largest one. Larger is faster for many clients, until memory runs out.
max_batch_size {{ value: {LARGEST_BATCH} }}

# How long the first request waits for others. Begin with 0, which batches only what
# is waiting anyway; then try 1000 to 10000 under the load that you expect.
batch_timeout_micros {{ value: 0 }}

# Batches that run at the same time: the number of cores on a CPU, 1 or 2 on a GPU.
num_batch_threads {{ value: 4 }}

# Batches that may wait; requests beyond them fail at once with UNAVAILABLE, and clients
# should try again later. For online serving as many as threads, for bulk many more.
max_enqueued_batches {{ value: 4 }}

# Batches are filled up to the next of these sizes, so that the model meets few sizes.
# The last must be max_batch_size.
{sizes}
"""


def monitoring() -> str:
    """Return monitoring.config."""
    return """\
# Metrics for Prometheus, on the REST port: --monitoring_config_file.
# Watch :tensorflow:serving:request_count by status, and the latency histogram
# :tensorflow:serving:request_latency (in microseconds).
prometheus_config {
  enable: true
  path: "/monitoring/prometheus/metrics"
}
"""


def compose(parent: Path, names: Sequence[str]) -> str:
    """Return compose.yaml; `parent` holds the models."""
    return f"""\
# docker compose up, in this folder. It serves {", ".join(names)}.
# Try it: curl localhost:8501/v1/models/{names[0]}
services:
  serving:
    # Pin a version: that of the TensorFlow which exported the models, or a later one.
    image: {IMAGE}
    ports:
      # For this machine alone. The server has no passwords and no encryption: put a
      # proxy that has them before it, rather than opening it to others.
      - "127.0.0.1:8500:8500"  # gRPC
      - "127.0.0.1:8501:8501"  # REST
    volumes:
      # The folder that holds the models; MODELS=/elsewhere docker compose up for
      # another.
      - "${{MODELS:-{_escaped(parent)}}}:{FOLDER}:ro"
      - "./models.config:{CONFIG}/models.config:ro"
      - "./batching.config:{CONFIG}/batching.config:ro"
      - "./monitoring.config:{CONFIG}/monitoring.config:ro"
    command:
      - "--model_config_file={CONFIG}/models.config"
      - "--model_config_file_poll_wait_seconds=30"
      # How soon a new version is seen.
      - "--file_system_poll_wait_seconds=5"
      - "--enable_batching"
      - "--batching_parameters_file={CONFIG}/batching.config"
      - "--monitoring_config_file={CONFIG}/monitoring.config"
      - "--rest_api_timeout_in_ms=5000"
      # With small models: one thread an operation, and as many requests as cores.
      # - "--tensorflow_intra_op_parallelism=1"
    environment:
      # Set to 0 for the same digits on every machine, at some cost of speed.
      TF_ENABLE_ONEDNN_OPTS: "1"
    healthcheck:
      # The image has no curl. An open port means that the models were loaded.
      test: ["CMD-SHELL", "bash -c '</dev/tcp/127.0.0.1/8501'"]
      interval: 10s
      timeout: 3s
      start_period: 30s
    restart: unless-stopped
    stop_grace_period: 30s
"""


def inference_services(names: Sequence[str]) -> str:
    """Return inference_service.yaml."""
    return "---\n".join(map(_inference_service, names))


def _inference_service(name: str) -> str:
    return f"""\
# kubectl apply -f inference_service.yaml, where KServe is installed.
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata:
  name: {name.lower().replace("_", "-")}
spec:
  predictor:
    # Replicas; a few large ones batch better than many small ones. With minReplicas 0
    # the first request after a pause waits until the model is loaded.
    minReplicas: 1
    maxReplicas: 3
    model:
      modelFormat:
        name: tensorflow
      protocolVersion: v1  # grpc-v1 for gRPC
      # Copy the models to a volume claim of this name, or put the address of your
      # bucket. It must be the folder that holds the numbers of the versions.
      storageUri: pvc://models/{name}
      args:
        - "--enable_batching"
        - "--rest_api_timeout_in_ms=5000"
      resources:
        # Memory: three times the folder of a version, since two are loaded while one
        # replaces the other.
        requests:
          cpu: "1"
          memory: 1Gi
        limits:
          cpu: "4"
          memory: 2Gi
"""


def _escaped(path: Path) -> str:
    """Return a path as it stands in a quoted string that Compose fills in."""
    return json.dumps(os.fspath(path), ensure_ascii=False)[1:-1].replace("$", "$$")
