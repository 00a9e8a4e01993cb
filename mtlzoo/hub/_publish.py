import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
from packaging.licenses import (
    InvalidLicenseExpression,
    canonicalize_license_expression,
)

from mtlzoo import _bundles
from mtlzoo._bundles import WeightsInfo
from mtlzoo._data import prepare_inputs
from mtlzoo.errors import BundleError
from mtlzoo.hub._card import card


def publish(
    model: Any,
    directory: str | Path,
    info: WeightsInfo,
    *,
    examples: Mapping[str, Any],
    base: str | None = None,
    half: bool = False,
    saved_model: bool = True,
    files: Mapping[str, bytes] | None = None,
    prose: str = "",
) -> Path:
    """Write a model as a bundle, `directory/<name>/<version>/`, whole or not at all.

    What was written is loaded again, and must answer `examples` as the model does. The
    index of the directory, `index.json`, is written anew, so that `mtlzoo.load` finds
    the bundle by its name where `directory` is the project's own or a mirror.

    Args:
        model: of `mtlzoo.build` or `MultiTaskModel.from_functional`; or any functional
            Keras model with a dict of outputs, to be a base.
        directory: of all bundles, such as `"models"`.
        info: what you say of the model: its first part is needed, the rest is found
            from the model.
        examples: a few raw rows by input name. They become golden inputs, whose answers
            are stored with them, and are what the SavedModel is checked on.
        base: name of the bundle whose weights the model's trunk has, and which are not
            stored again.
        half: whether float32 weights are stored as float16, in half the bytes; they
            are float32 again when they are loaded.
        saved_model: whether to add a SavedModel, for TensorFlow Serving.
        files: more files of the bundle, by name, such as the recipe that made it.
        prose: Markdown for the card, below what is generated.

    Returns:
        The folder of the version.

    Raises:
        BundleError: the licence is no SPDX expression, a task has no metric, the model
            can't be a bundle, or the version is published already.
        ExportError: `directory` can't be written, or the SavedModel not be made.

    Example:

    ```python
    info = mtlzoo.hub.WeightsInfo(
        name="mmoe.wages",
        version=1,
        architecture="mmoe",
        description="Wages and hours of people.",
        license="Apache-2.0",
        metrics=(mtlzoo.hub.MetricInfo("income", "auc", 0.91, "wages"),),
        recipe=mtlzoo.hub.RecipeInfo("python train.py"),
        datasets=(mtlzoo.hub.DatasetInfo("wages", "CC0-1.0", "https://..."),),
    )
    mtlzoo.hub.publish(model, "models", info, examples=first_rows)
    ```
    """
    directory = Path(directory)
    try:
        license_ = canonicalize_license_expression(info.license)
    except InvalidLicenseExpression as error:
        raise BundleError(
            "The licence of the weights must be an SPDX expression, such as "
            "'Apache-2.0', 'CC-BY-4.0' or 'LicenseRef-Mine'. Received: "
            f"{info.license!r}."
        ) from error
    measured = {one.task for one in info.metrics}
    tasks = [task.name for task in getattr(model, "tasks", ())]
    if missing := [task for task in tasks if task not in measured]:
        raise BundleError(
            f"A bundle states a metric of each task, on held-out rows. Missing: "
            f"{', '.join(missing)}. Measure with model.evaluate(...)."
        )

    rows = {
        name: keras.ops.convert_to_numpy(one)
        for name, one in prepare_inputs(model, examples).items()
    }

    def more(loaded: Any, folder: Path, complete: WeightsInfo) -> None:
        if saved_model:
            from mtlzoo import export

            where = folder / "saved_model"
            export.saved_model(loaded, where, version=1, golden=rows)
        for path, content in (files or {}).items():
            (folder / path).write_bytes(content)
        (folder / "card.md").write_text(card(complete, prose), "utf-8")

    folder = _bundles.write(
        model,
        directory,
        dataclasses.replace(info, license=license_),
        examples=rows,
        base=_newest(directory, base) if base else None,
        half=half,
        more=more,
    )
    write_index(directory)
    return folder


def write_index(directory: str | Path) -> Path:
    """Write `index.json` of a directory of bundles anew, and return its path."""
    path = Path(directory) / "index.json"
    unfinished = path.with_suffix(".tmp")
    unfinished.write_text(_bundles.make_index(Path(directory)), "utf-8")
    unfinished.replace(path)
    return path


def _newest(directory: Path, name: str) -> tuple[str, int]:
    there = [
        int(path.parent.name)
        for path in directory.glob(f"{name}/*/bundle.json")
        if path.parent.name.isdecimal()
    ]
    return name, max(there, default=0) or _bundles.find_entry(name).version
