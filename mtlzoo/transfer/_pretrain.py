from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from mtlzoo import _data
from mtlzoo.errors import OptionError
from mtlzoo.features import Categorical, Feature, as_feature, unknown
from mtlzoo.model import MultiTaskModel
from mtlzoo.transfer._autoencoder import autoencoder


def pretrain(
    model: MultiTaskModel,
    x: Any,
    *,
    inputs: Mapping[str, Any],
    corruption: float = 0.3,
    epochs: int = 10,
    batch_size: int = 256,
    optimizer: Any = "adam",
    units: int = 128,
    seed: int = 0,
    verbose: Any = "auto",
    callbacks: Sequence[Any] = (),
) -> MultiTaskModel:
    """Train the trunk of `model` on inputs without labels, to tell what was hidden.

    A denoising autoencoder: part of each row is hidden, at random and each time anew,
    and the model must tell the whole row from the rest. Its encoder is that of `model`,
    which afterwards starts its own tasks from there: call `fit` as always, or
    `freeze(model)` before. With `corruption=0` it is a plain autoencoder.

    Hidden is what a feature reads as unknown: a number becomes NaN, that is the mean; a
    category becomes none of the vocabulary; a pixel becomes 0. Each number, category
    and pixel is hidden by itself.

    Args:
        model: made by `mtlzoo.build`; its layers up to the representations are trained.
        x: a dict of arrays by input name, or a batched `tf.data.Dataset` of `x` or
            `(x, y)`, whose labels are not used.
        inputs: the features of the inputs to hide and to tell, as they were given to
            `build`; texts and series can't be among them.
        corruption: the part that is hidden, at least 0 and below 1.
        epochs: times that all rows are seen.
        batch_size: rows a batch, for arrays.
        optimizer: a Keras optimizer or its name. That of `model` stays as it is.
        units: the width of the decoder's hidden layer.
        seed: of the order of arrays and of what is hidden.
        verbose: as in `fit`.
        callbacks: as in `fit`.

    Returns:
        The autoencoder, to see what it tells; `history.history` holds its losses. It
        shares its encoder with `model`.

    Raises:
        OptionError: `corruption` is out of range, or the trunk is frozen.
        DataError: `x` doesn't fit the model, or an input can't be told.

    Example:

    ```python
    model = mtlzoo.build("shared_bottom", **data.spec)
    x, _ = data.arrays("train")
    mtlzoo.transfer.pretrain(model, x, inputs=data.inputs)
    model.fit(data.subset(300).train, epochs=20)
    ```

    Reference: Pascal Vincent et al., *Extracting and Composing Robust Features with
    Denoising Autoencoders*, ICML 2008, <https://doi.org/10.1145/1390156.1390294>.

    Differences from the paper: the whole encoder is trained at once, not layer by
    layer; the weights of encoder and decoder are not tied; categories are hidden and
    told as such.
    """
    if not 0 <= corruption < 1:
        raise OptionError(
            "`corruption` must be at least 0 and below 1. Received: "
            f"corruption={corruption}."
        )
    made = autoencoder(model, inputs, units=units)
    ours = {id(variable) for variable in model.trainable_variables}
    if not any(id(variable) in ours for variable in made.trainable_variables):
        raise OptionError(
            f"Nothing that leads to the representations of {model.name!r} is trained: "
            "it is frozen. Call `transfer.unfreeze(model)` first."
        )
    made.compile(optimizer)
    features = {key: as_feature(key, value) for key, value in inputs.items()}
    if not _data.is_dataset(x):
        x = _shuffled(_data.prepare_inputs(model, x), batch_size, seed)
    made.fit(
        x.map(lambda x, *labels: x).apply(_corrupted(features, corruption, seed)),
        epochs=epochs,
        verbose=verbose,
        callbacks=list(callbacks),
    )
    return made


def _shuffled(columns: Mapping[str, Any], batch_size: int, seed: int) -> Any:
    """Return batches of rows, in another order each epoch."""
    import tensorflow as tf

    rows = len(next(iter(columns.values())))
    tensors = {key: tf.convert_to_tensor(one) for key, one in columns.items()}
    numbers = tf.data.Dataset.range(rows).shuffle(rows, seed=seed).batch(batch_size)
    return numbers.map(
        lambda chosen: {key: tf.gather(one, chosen) for key, one in tensors.items()}
    )


def _corrupted(
    features: Mapping[str, Feature], corruption: float, seed: int
) -> Callable[[Any], Any]:
    """Return from a dataset of `x` to one of the corrupted `x` and what was there."""
    import tensorflow as tf

    tables = {
        key: _table(feature.vocabulary)
        for key, feature in features.items()
        if isinstance(feature, Categorical)
    }

    def label(key: str, values: Any) -> Any:
        if key in tables:
            return tables[key].lookup(values)
        if len(values.shape) > 2:  # a picture
            return tf.reshape(values, (tf.shape(values)[0], -1))
        return values

    def hide(x: Any, seeds: Any) -> Any:
        y = {key: tf.cast(label(key, x[key]), "float32") for key in features}
        hidden = dict(x)
        for index, (key, feature) in enumerate(features.items()):
            values = x[key]
            chance = tf.random.stateless_uniform(tf.shape(values), seeds + index)
            nothing = tf.cast(unknown(feature), values.dtype)
            hidden[key] = tf.where(chance < corruption, nothing, values)
        return hidden, {
            key: tf.ensure_shape(one, (None, *_row(features[key])))
            for key, one in y.items()
        }

    def apply(data: Any) -> Any:
        random = tf.data.Dataset.random(seed=seed, rerandomize_each_iteration=True)
        pairs = tf.data.Dataset.zip(data, random.batch(2))
        return pairs.map(hide, num_parallel_calls=tf.data.AUTOTUNE).prefetch(2)

    return apply


def _row(feature: Feature) -> tuple[int, ...]:
    """Return the shape of one row's labels."""
    shape = feature.input_shape
    return (int(np.prod(shape)),) if len(shape) > 1 else tuple(map(int, shape))  # type: ignore[arg-type]


def _table(vocabulary: Sequence[Any]) -> Any:
    """Return a table from a category to its number, -1 for what is not in it."""
    import tensorflow as tf

    keys = tf.constant(vocabulary, "int64" if isinstance(vocabulary[0], int) else None)
    numbers = tf.range(len(vocabulary), dtype="int64")
    pairs = tf.lookup.KeyValueTensorInitializer(keys, numbers)
    return tf.lookup.StaticHashTable(pairs, default_value=-1)
