from collections.abc import Sequence
from typing import Any, Self

import keras
import numpy as np

from mtlzoo._columns import holds_booleans, plain_array, typed
from mtlzoo._dtypes import cast
from mtlzoo._registry import FEATURES
from mtlzoo.errors import DataError
from mtlzoo.features._base import Feature


@FEATURES.register("categorical")
@keras.saving.register_keras_serializable("mtlzoo")
class Categorical(Feature):
    """One of a set of strings or integers, embedded.

    All values that are not in the vocabulary, missing ones among them, share one
    out-of-vocabulary embedding.

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
        """Return a feature whose vocabulary is the sorted distinct `values`.

        Args:
            values: texts, whole numbers or booleans, which count as 0 and 1; missing
                ones are left out.
            dimension: of the embedding.
        """
        plain = plain_array(values, "`values`")
        array = typed(plain, "`values`")
        if array.dtype.kind in "bf" or holds_booleans(array):
            array = cast(array, "float64", "`values`")
            array = array[~np.isnan(array)]
            # Integers become floats where some are missing.
            if (array == np.floor(array)).all():
                array = array.astype("int64")
        elif array.dtype.kind in "OUM":
            if array.dtype.kind == "M":
                array = cast(plain, "string", "`values`")
            # A column of empty texts has this vocabulary, since one can't be empty.
            array = array[array != ""] if (array != "").any() else array
        return cls(sorted(set(array.ravel().tolist())), dimension)

    @property
    def input_shape(self) -> tuple[int | None, ...]:
        return ()

    @property
    def width(self) -> int:
        """The embedding's dimension."""
        size = len(self.vocabulary)
        return self.dimension or min(50, round(1.6 * size**0.56))

    def encode(self, inputs: Any, name: str) -> Any:
        options = {"vocabulary": self.vocabulary, "name": f"{name}.lookup"}
        if self.dtype == "string":
            lookup = keras.layers.StringLookup(**options)
        else:
            # Keras takes -1 for the mark of unknown integers, which may be a known one.
            lookup = keras.layers.IntegerLookup(
                oov_token=min(map(int, self.vocabulary)) - 1, **options
            )
        embedding = keras.layers.Embedding(
            len(self.vocabulary) + 1, self.width, name=f"{name}.embedding"
        )
        return embedding(lookup(inputs))
