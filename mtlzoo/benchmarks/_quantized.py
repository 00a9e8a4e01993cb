"""What smaller weights cost: bytes and test AUC of one model in each form."""

import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import mtlzoo
from mtlzoo import datasets, export

EPOCHS = 2
BATCH = 256
LITERT = (None, "int8")
"""Not float16, which can't hold the numbers of one column, up to 1.5 million."""


def run() -> str:
    """Train on `adult`, make the model smaller, and report what each form reaches."""
    keras.utils.set_random_seed(0)
    data = datasets.load("adult")
    model = mtlzoo.build("shared_bottom", **data.spec)
    x, y = data.arrays("train")
    model.fit(x, y, epochs=EPOCHS, batch_size=BATCH, verbose=0)
    x, y = data.arrays("test")
    lines = [
        f"`shared_bottom` on `adult`, {EPOCHS} epochs, {len(y['income'])} test rows.",
        "",
        f"| form | bytes | {' | '.join(f'{name} AUC' for name in y)} |",
        f"|---|---:|{'---|' * len(y)}",
    ]
    with tempfile.TemporaryDirectory() as folder:
        for form, size, answers in _forms(model, x, Path(folder)):
            scores = [f"{_auc(y[name], answers[name]):.4f}" for name in y]
            lines.append(f"| {form} | {size:,} | {' | '.join(scores)} |")
    return "\n".join(lines)


def _forms(model: keras.Model, x: Mapping[str, Any], folder: Path) -> Any:
    """Yield the name of each form, its bytes, and what it answers."""
    for name, one in (("float32", model), ("int8", export.quantized(model))):
        version = export.saved_model(one, folder / name, warmup=False)
        files = (version / "variables").iterdir()
        size = sum(path.stat().st_size for path in files)
        with export.load(version) as exported:
            yield f"SavedModel, {name} (variables)", size, exported(x)
    for quantize in LITERT:
        name = quantize or "float32"
        made = export.litert(model, folder / f"{name}.tflite", quantize=quantize)
        yield f"LiteRT, {name} (file)", made.size, _litert(made.path, x)


def _litert(path: Path, x: Mapping[str, Any]) -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*tf.lite.Interpreter is deprecated")
        interpreter = tf.lite.Interpreter(model_path=str(path))
    run = interpreter.get_signature_runner("serving_default")
    rows = {
        name: np.array([one.encode() for one in column], object)
        if column.dtype.kind in "OU"
        else column.astype("float32")
        for name, column in x.items()
    }
    found: dict[str, Any] = run(**rows)
    return found


def _auc(labels: Any, scores: Any) -> float:
    metric = keras.metrics.AUC(num_thresholds=2000)
    metric.update_state(labels.reshape(-1, 1), scores)
    return float(metric.result())
