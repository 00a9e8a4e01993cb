from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from mtlzoo.errors import DataError, OptionError
from mtlzoo.model import MultiTaskModel
from mtlzoo.transfer._around import features_of, train_around


class Alignment(keras.layers.Layer):
    """A loss for what tells the features of two domains apart.

    A layer that `adapt` puts beside the features. A method writes `distance`.

    Args:
        weight: what the distance is multiplied by in the loss.

    Input shape: a list: a prediction, which passes unchanged; features of shape
        `(batch, width)`; and the domain of each row, of shape `(batch,)`: 0 for the
        source, any other number for the target.

    Output shape: as the prediction.
    """

    def __init__(self, *, weight: float = 1.0, **kwargs: Any) -> None:
        # Predictions are float32 under every policy, and distances need it.
        super().__init__(**{"dtype": "float32", **kwargs})
        self.weight = weight
        if weight < 0:
            raise OptionError(
                f"`weight` must be at least 0. Received: weight={weight}."
            )

    def call(self, inputs: Any, training: bool = False) -> Any:
        prediction, features, domain = inputs
        target = ops.cast(ops.not_equal(domain, 0), "float32")
        distance = self.distance(features, target, training)
        self.add_loss(self.weight * distance)
        return prediction

    @abstractmethod
    def distance(self, features: Any, target: Any, training: bool) -> Any:
        """Return a scalar, 0 where the batch has too few rows of either domain.

        Args:
            features: shape `(batch, width)`.
            target: shape `(batch,)`: 1 for rows of the target, 0 for the source.
            training: whether this is a training step.
        """

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape[0]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "weight": self.weight}


def adapt(
    model: MultiTaskModel,
    method: Alignment,
    *,
    layers: Sequence[str] | None = None,
    origin: str = "domain",
) -> MultiTaskModel:
    """Return a model to train that makes the features of two domains look alike.

    It has the layers of `model` and one more loss: `method`, on the features that the
    tasks' heads read. Train it on batches that hold rows of both domains, and what it
    learns is in `model`, which is as it was otherwise: same inputs, same outputs. Rows
    of the target need no labels.

    Args:
        model: what is to work on the target.
        method: `MMD`, `CORAL` or `DANN`.
        layers: names of layers whose outputs are compared, such as `["trunk.dense_1"]`.
            `None` takes the features that the heads read, each that differs.
        origin: the input that holds the domain of each row: 0 for the source, any other
            number for the target. `mtlzoo.datasets.interleave` adds it to its batches.

    Raises:
        DataError: `model` has an input of that name already.
        OptionError: there is no such layer, or no task depends on it.

    Example:

    ```python
    stream = mtlzoo.datasets.interleave(
        {"source": photos, "target": sketches},
        sampling="alternate", batches="mixed", unlabelled=["target"],
    )
    model = mtlzoo.build("shared_bottom", **stream.spec)
    adapted = mtlzoo.transfer.adapt(model, mtlzoo.transfer.MMD())
    adapted.fit(stream.train, epochs=5)
    model.evaluate(sketches.test)
    ```
    """
    if origin in {tensor.name for tensor in model.inputs}:
        raise DataError(
            f"{model.name!r} has an input {origin!r} of its own. Choose another name "
            "for the domain, in `interleave` as well: origin='...'."
        )
    domain = keras.Input((), dtype="int32", name=origin)
    outputs: dict[str, Any] = {}
    for index, (task, features) in enumerate(features_of(model, layers)):
        config = {**method.get_config(), "name": f"adapt.{index}"}
        prediction = outputs.get(task, model.output[task])
        layer = type(method).from_config(config)
        outputs[task] = layer([prediction, features, domain])
    return train_around(model, outputs, name="adapted", inputs={origin: domain})
