import string
from collections.abc import Sequence
from typing import Any, Self

import keras

from mtlzoo._dtypes import as_dtype
from mtlzoo._registry import FEATURES
from mtlzoo.errors import DataError
from mtlzoo.features._base import Feature


@FEATURES.register("text")
@keras.saving.register_keras_serializable("mtlzoo")
class Text(Feature):
    """A string, split into lower-case words and embedded, one vector a word.

    Words are what is left between white space once punctuation is gone. A word that is
    not in the vocabulary shares one out-of-vocabulary embedding; steps after the last
    word are masked.

    Args:
        vocabulary: the known words, most frequent first by habit, as texts are split:
            in lower case and without punctuation. Without one the text stays raw, for a
            trunk that splits it itself: `trunks.Pretrained("minilm_l6")`.
        length: how many words are read; longer texts are cut, shorter ones padded.
        dimension: of the embedding.

    Example:

    ```python
    Text.from_values(train["review"], size=5000, length=64)
    ```
    """

    form = "sequence"
    dtype = "string"

    def __init__(
        self, vocabulary: Sequence[str] = (), *, length: int = 64, dimension: int = 64
    ) -> None:
        self.vocabulary = [str(word) for word in vocabulary]
        self.length = length
        self.dimension = dimension
        for word in self.vocabulary:
            if (plain := _as_split(word)) != word or not word:
                raise DataError(
                    "The words of a Text must be as texts are split, in lower case and "
                    f"without punctuation; {word!r} would never be found."
                    + (f" Write {plain!r}." if plain else "")
                )
        if len(set(self.vocabulary)) != len(self.vocabulary):
            raise DataError("`vocabulary` holds a word twice.")
        if length < 1 or dimension < 1:
            raise DataError(
                "A Text feature needs a length and a dimension of at least 1. "
                f"Received: length={length}, dimension={dimension}."
            )

    @classmethod
    def from_values(cls, values: Any, *, size: int = 10_000, **options: Any) -> Self:
        """Return a feature whose vocabulary is the `size` most frequent words.

        Args:
            values: the training texts, shape `(rows,)`.
            size: of the vocabulary.
            **options: any other argument of the constructor.
        """
        layer = keras.layers.TextVectorization(max_tokens=size + 2)
        texts = as_dtype(values, "string", "`values`")
        layer.adapt(texts.astype("str"))
        # The first two entries are padding and the out-of-vocabulary mark.
        return cls(layer.get_vocabulary()[2:], **options)

    @property
    def input_shape(self) -> tuple[int | None, ...]:
        return ()

    def encode(self, inputs: Any, name: str) -> Any:
        if not self.vocabulary:
            raise DataError(
                "A Text without a vocabulary stays raw, and this trunk reads words. "
                "Give it one, mtlzoo.Text.from_values(texts), or take a trunk that "
                "splits texts itself: trunks.Pretrained('minilm_l6')."
            )
        words = keras.layers.TextVectorization(
            vocabulary=self.vocabulary,
            output_sequence_length=self.length,
            name=f"{name}.words",
        )(inputs)
        return keras.layers.Embedding(
            len(self.vocabulary) + 2,
            self.dimension,
            mask_zero=True,
            name=f"{name}.embedding",
        )(words)


_SPLIT = str.maketrans(
    string.ascii_uppercase,
    string.ascii_lowercase,
    string.punctuation + string.whitespace,
)


def _as_split(word: str) -> str:
    """Return what a `TextVectorization` reads of a word: it changes ASCII alone."""
    return word.translate(_SPLIT)


@FEATURES.register("tokens")
@keras.saving.register_keras_serializable("mtlzoo")
class Tokens(Feature):
    """A row of token ids, embedded, one vector a step; id 0 is padding and masked.

    Args:
        vocabulary_size: the number of ids, padding included.
        length: steps a row, or `None` for any.
        dimension: of the embedding.
    """

    form = "sequence"
    dtype = "int32"

    def __init__(
        self, vocabulary_size: int, *, length: int | None = None, dimension: int = 64
    ) -> None:
        self.vocabulary_size = vocabulary_size
        self.length = length
        self.dimension = dimension
        if vocabulary_size < 2:
            raise DataError(
                "`vocabulary_size` must be at least 2: padding and one token. "
                f"Received: vocabulary_size={vocabulary_size}."
            )

    @property
    def input_shape(self) -> tuple[int | None, ...]:
        return (self.length,)

    def encode(self, inputs: Any, name: str) -> Any:
        return keras.layers.Embedding(
            self.vocabulary_size,
            self.dimension,
            mask_zero=True,
            name=f"{name}.embedding",
        )(inputs)
