"""All that an export offers: signatures, what they take, what they should answer."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mtlzoo.export import _examples, _images
from mtlzoo.export._signatures import call, find_representations, trace, write

ROWS, EXAMPLES, FILES = "rows", "examples", "files"
"""The forms in which a signature takes its inputs."""


class Offer:
    """The signatures of a model.

    Args:
        model: that `check_model` passes.
        pixel_scale: as for `saved_model`.

    Attributes:
        model: the model.
        forms: the form of its inputs, by signature.
        heads: of the outputs, by name; empty where examples aren't taken.
    """

    def __init__(self, model: keras.Model, pixel_scale: float | None = None) -> None:
        self.model = model
        self.heads = _examples.find_heads(model)
        self._picture = _images.find_picture(model, pixel_scale)
        self._functions = trace(model)
        self.forms = dict.fromkeys(self._functions, ROWS)
        predict = self._functions["serving_default"]
        examples = _examples.trace_examples(model, predict, self.heads)
        if examples is None:
            self.heads = {}
        else:
            self._functions[_examples.SIGNATURE] = examples
            self.forms[_examples.SIGNATURE] = EXAMPLES
            self.forms |= {
                f"{head.method}_{name}": EXAMPLES
                for name, head in self.heads.items()
                if head.method
            }
        if self._picture is not None:
            self._functions[_images.SIGNATURE] = _images.trace_pictures(
                model, predict, self._picture
            )
            self.forms[_images.SIGNATURE] = FILES

    def write(self, folder: Path) -> None:
        """Write the SavedModel.

        Raises:
            ExportError: TensorFlow can't.
        """
        write(self.model, self._functions, folder)
        if self.heads:
            _examples.add_aliases(folder, self.heads)

    def inputs(self, golden: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """Return golden rows, arrays by input name, in each form that is taken."""
        found = {ROWS: dict(golden)}
        if self.heads:
            serialized = [
                example.SerializeToString() for example in _examples.to_examples(golden)
            ]
            found[EXAMPLES] = {_examples.INPUT: np.array(serialized, object)}
        if self._picture is not None:
            name = self._picture.name
            found[FILES] = {**golden, name: self._picture.encode(golden[name])}
        return found

    def expected(
        self, inputs: Mapping[str, Mapping[str, Any]]
    ) -> dict[str, dict[str, Any]]:
        """Return what the model itself answers, by signature and output.

        Args:
            inputs: golden rows in each form, as `inputs` gives them.
        """
        predictions = _answer(self.model, inputs[ROWS])
        found = {"serving_default": predictions}
        found |= {f"task_{name}": {name: one} for name, one in predictions.items()}
        if representations := find_representations(self.model):
            found["features"] = _answer(representations, inputs[ROWS])
        if self.heads:
            found |= _examples.expected_examples(self.heads, predictions)
        if self._picture is not None:
            rows = _images.decoded(self._picture, inputs[FILES])
            found[_images.SIGNATURE] = _answer(self.model, rows)
        return found


def _answer(model: keras.Model, inputs: Mapping[str, Any]) -> dict[str, Any]:
    # Where the export is tried as well.
    with tf.device("CPU:0"):
        tensors = {
            name: keras.ops.convert_to_tensor(rows) for name, rows in inputs.items()
        }
        predictions = call(model, tensors)
    return {
        name: keras.ops.convert_to_numpy(prediction)
        for name, prediction in predictions.items()
    }
