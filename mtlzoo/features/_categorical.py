from collections.abc import Sequence
from typing import Any, Self

import keras
import numpy as np

from mtlzoo._registry import FEATURES
from mtlzoo.errors import DataError
from mtlzoo.features._base import Feature


@FEATURES.register("categorical")
@keras.saving.register_keras_serializable("mtlzoo")
class Categorical(Feature):
    """One of a set of strings or integers, embedded.

    A value that is not in the vocabulary shares one out-of-vocabulary embedding.

    Args:
        vocabulary: the known values, all strings or all integers.
        dimension: of the embedding. `None` takes `min(50, 1.6 * n ** 0.56)`, rounded,
            for `n` values (a rule of thumb of the fastai library).

    Example:

    ```python
    Categorical(["clerk", "nurse", "smith"])
    Categorical.from_values(train["job"])
    ```
    """

    form = "vector"

    def __init__(
        self, vocabulary: Sequence[str] | Sequence[int], dimension: int | None = None
    ) -> None:
        self.vocabulary = [
            value.item() if isinstance(value, np.generic) else value
            for value in vocabulary
        ]
        self.dimension = dimension
        kinds = {type(value) for value in self.vocabulary}
        if kinds not in ({str}, {int}):
            raise DataError(
                "`vocabulary` must hold strings only or integers only, at least one. "
                f"Received: {self.vocabulary[:5]!r}."
            )
        if len(set(self.vocabulary)) != len(self.vocabulary):
            raise DataError("`vocabulary` holds a value twice.")
        self.dtype = "string" if kinds == {str} else "int64"

    @classmethod
    def from_values(cls, values: Any, dimension: int | None = None) -> Self:
        """Return a feature whose vocabulary is the sorted distinct `values`."""
        return cls(sorted(np.unique(np.asarray(values)).tolist()), dimension)

    @property
    def input_shape(self) -> tuple[int | None, ...]:
        return ()

    @property
    def width(self) -> int:
        """The embedding's dimension."""
        size = len(self.vocabulary)
        return self.dimension or min(50, round(1.6 * size**0.56))

    def encode(self, inputs: Any, name: str) -> Any:
        lookup = (
            keras.layers.StringLookup
            if self.dtype == "string"
            else keras.layers.IntegerLookup
        )(vocabulary=self.vocabulary, num_oov_indices=1, name=f"{name}.lookup")
        embedding = keras.layers.Embedding(
            len(self.vocabulary) + 1, self.width, name=f"{name}.embedding"
        )
        return embedding(lookup(inputs))
