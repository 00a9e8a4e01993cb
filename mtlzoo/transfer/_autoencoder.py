import math
from collections.abc import Mapping
from typing import Any

import keras

from mtlzoo._registry import unknown_name
from mtlzoo.errors import DataError
from mtlzoo.features import Categorical, Date, Image, Numeric, as_feature
from mtlzoo.model import MultiTaskModel
from mtlzoo.tasks import Multiclass, Regression, Task
from mtlzoo.transfer._around import features_of


def autoencoder(
    model: MultiTaskModel, inputs: Mapping[str, Any], *, units: int = 128
) -> MultiTaskModel:
    """Return a model to train that tells the inputs from what `model` makes of them.

    It is a multi-task model whose tasks are the inputs: a number is a regression, a
    category one of its vocabulary, a picture a regression of all its pixels. Its
    encoder are the layers of `model`, up to the representations of the tasks; where
    these differ, they are joined. So training it trains the trunk of `model` on inputs
    alone. `pretrain` does that; call this for a training loop, or a balancing, of your
    own.

    Args:
        model: made by `mtlzoo.build`.
        inputs: the features, or shapes of rows, of the inputs that are to be told, as
            they were given to `build`. Others are only read.
        units: the width of the decoder's hidden layer.

    Raises:
        DataError: `model` has no such input, or it is a text or a series, whose steps
            can't be told from one vector.

    Example:

    ```python
    decoder = mtlzoo.transfer.autoencoder(model, data.inputs)
    decoder.predict(x)["image"]  # shape (rows, height * width * channels)
    ```
    """
    names = [tensor.name for tensor in model.inputs]
    features: dict[str, Any] = {
        key: as_feature(key, value) for key, value in inputs.items()
    }
    for key, feature in features.items():
        if key not in names:
            raise DataError(unknown_name(f"input of {model.name!r}", key, names))
        if not isinstance(feature, Numeric | Categorical | Date | Image):
            raise DataError(
                f"Input {key!r} is a {type(feature).__name__}, whose steps can't be "
                "told from one vector. Name the other inputs: inputs={...}."
            )
    if not features:
        raise DataError("At least one input must be told. Received: inputs={}.")
    tensors = [tensor for _, tensor in features_of(model)]
    code = keras.layers.Concatenate(name="code")(tensors) if tensors[1:] else tensors[0]
    hidden = keras.layers.Dense(units, activation="relu", name="decoder.hidden")(code)
    tasks = [as_task(key, feature) for key, feature in features.items()]
    outputs = {}
    for task in tasks:
        feature, name = features[task.name], f"decoder.{task.name}"
        if isinstance(feature, Image):
            values = _picture(hidden, feature, name)
        else:
            values = keras.layers.Dense(task.units, dtype="float32", name=name)(hidden)
        outputs[task.name] = task.activate(values, name)
    made = MultiTaskModel(
        {tensor.name: tensor for tensor in model.inputs},
        outputs,
        name=f"{model.name}.autoencoder",
        tasks=tasks,
    )
    made.compile()
    return made


def as_task(name: str, feature: Any) -> Task:
    """Return the task of telling one input; its losses compare across inputs."""
    if isinstance(feature, Categorical):
        # What is out of the vocabulary has no label.
        classes = [str(value) for value in feature.vocabulary]
        return Multiclass(name, [*classes, *_second(classes)], missing=-1)
    if isinstance(feature, Image):
        mean, scale = -feature.offset / feature.scale, 1 / feature.scale
        size = math.prod(feature.shape)
        return Regression(name, shape=(size,), mean=mean, variance=scale**2, metrics=[])
    return Regression(
        name,
        shape=feature.input_shape,
        mean=feature.mean,
        variance=feature.variance,
        metrics=[],
    )


def _second(classes: list[str]) -> list[str]:
    """Return what makes two classes of a vocabulary of one value."""
    return [] if classes[1:] else [f"not {classes[0]}"]


def _picture(hidden: Any, feature: Image, name: str) -> Any:
    """Return the logits of all pixels: a small map, enlarged twice."""
    height, width, channels = feature.shape
    small = (math.ceil(height / 4), math.ceil(width / 4), 32)
    layers = keras.layers
    tensor = layers.Dense(math.prod(small), activation="relu", name=f"{name}.small")(
        hidden
    )
    tensor = layers.Reshape(small, name=f"{name}.map")(tensor)
    for index, filters in enumerate((32, 16), start=1):
        tensor = layers.Conv2DTranspose(
            filters,
            3,
            strides=2,
            padding="same",
            activation="relu",
            name=f"{name}.enlarge_{index}",
        )(tensor)
    over = (4 * small[0] - height, 4 * small[1] - width)
    tensor = layers.Cropping2D(((0, over[0]), (0, over[1])), name=f"{name}.crop")(
        tensor
    )
    tensor = layers.Conv2D(channels, 3, padding="same", dtype="float32", name=name)(
        tensor
    )
    return layers.Flatten(dtype="float32", name=f"{name}.flat")(tensor)
