import re
from collections.abc import Iterable
from pathlib import Path

from mtlzoo._saved_models import versions
from mtlzoo._staging import not_writable, publish, staging
from mtlzoo.errors import ExportError
from mtlzoo.export import _deployment_files as files

# What Kubernetes takes as the name of a service, once "_" is "-".
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,61}[A-Za-z0-9]|[A-Za-z]")


def deployment(models: Iterable[str | Path], folder: str | Path) -> list[Path]:
    """Write the files that TensorFlow Serving is deployed with, for exported models.

    | file | for |
    |---|---|
    | `models.config` | the server: which models, which versions, labels |
    | `batching.config` | the server: how requests are put together into batches |
    | `monitoring.config` | the server: metrics for Prometheus |
    | `compose.yaml` | `docker compose up` |
    | `inference_service.yaml` | KServe, one InferenceService a model |

    Each says in comments what to tune, and a file that is there already is not
    replaced. The models are served under the names of their folders.

    Args:
        models: folders that `saved_model` wrote, with versions in them; all in the same
            parent folder, which the server's container sees as `/models`.
        folder: to write in; made if it isn't there.

    Returns:
        The files.

    Raises:
        ExportError: a model isn't exported, two have one name, they lie apart, or a
            file is there already. Nothing was written.

    Example:

    ```python
    mtlzoo.export.deployment(["serving/income", "serving/photos"], "deploy")
    ```
    """
    bases = [Path(model).absolute() for model in models]
    folder = Path(folder)
    _check(bases)
    names = [base.name for base in bases]
    numbers = {base.name: max(versions(base)) for base in bases}
    texts = {
        "models.config": files.models(numbers),
        "batching.config": files.batching(),
        "monitoring.config": files.monitoring(),
        "compose.yaml": files.compose(bases[0].parent, names),
        "inference_service.yaml": files.inference_services(names),
    }
    if taken := [name for name in texts if (folder / name).exists()]:
        raise ExportError(
            f"{', '.join(taken)} is in {str(folder)!r} already, and may have been "
            "tuned. Choose another folder, or remove it."
        )
    with staging(folder) as stage:
        try:
            for name, text in texts.items():
                (stage / name).write_text(text, encoding="utf-8")
            for name in texts:
                publish(stage / name, folder / name)
        except OSError as error:
            raise not_writable(folder, error) from error
    return [folder / name for name in texts]


def _check(bases: list[Path]) -> None:
    if not bases:
        raise ExportError("`models` must name at least one exported model.")
    for base in bases:
        if not versions(base):
            raise ExportError(
                f"No exported model is in {str(base)!r}. Pass folders that "
                "mtlzoo.export.saved_model wrote, with versions in them."
            )
        if not _NAME.fullmatch(base.name):
            raise ExportError(
                "The folder of a model must be named as servers and Kubernetes take "
                "it: letters, digits, '-' and '_', a letter first, no more than 63. "
                f"Received: {base.name!r}."
            )
    names = [base.name.lower().replace("_", "-") for base in bases]
    if doubled := {name for name in names if names.count(name) > 1}:
        raise ExportError(
            f"Two models would have one name: {', '.join(sorted(doubled))}. Rename the "
            "folder of one."
        )
    parents = {str(base.parent) for base in bases}
    if len(parents) > 1:
        raise ExportError(
            "The models must lie in one folder, which the server's container sees. "
            f"Received: {', '.join(sorted(parents))}."
        )
