import functools
import sys
import unicodedata
from collections.abc import Sequence
from typing import Any

import keras

LONGEST_WORD = 100
HAN = (
    r"[\x{4E00}-\x{9FFF}\x{3400}-\x{4DBF}\x{20000}-\x{2A6DF}\x{2A700}-\x{2B73F}"
    r"\x{2B740}-\x{2B81F}\x{2B920}-\x{2CEAF}\x{F900}-\x{FAFF}\x{2F800}-\x{2FA1F}]"
)
SAME = "\0"
"""Stands in the table for a character that stays as it is."""


@keras.saving.register_keras_serializable("mtlzoo")
class WordPiece(keras.layers.Layer):
    """Texts to the ids of word pieces, as BERT's uncased tokenizer does it.

    Text is cleaned of control characters, put in lower case and stripped of accents;
    punctuation and Chinese characters become words of their own. Each word is cut from
    the left into the longest pieces that the vocabulary has; a word that can't be, or
    has over 100 characters, is `[UNK]`. The pieces stand between `[CLS]` and `[SEP]`;
    rows that are shorter than the longest of the batch are filled with 0, `[PAD]`.

    It is made of TensorFlow's own operations, so an exported model needs no library.

    Args:
        vocabulary: the pieces by id; those inside words begin with `##`.
        length: the most ids of a row; what is beyond is cut off.

    Input shape: `(batch,)` or `(batch, 1)`, strings.

    Output shape: `(batch, steps)`, int32.

    Reference: Jacob Devlin, Ming-Wei Chang, Kenton Lee, Kristina Toutanova, *BERT:
    Pre-training of Deep Bidirectional Transformers for Language Understanding*, NAACL
    2019, <https://arxiv.org/abs/1810.04805>.

    Differences from the authors' code: `[SEP]` and the like in a text are words as any
    other, so that a text can't pass for more than one.
    """

    def __init__(
        self, vocabulary: Sequence[str], *, length: int = 128, **kwargs: Any
    ) -> None:
        super().__init__(**{**kwargs, "dtype": "int32"})
        self.vocabulary = list(vocabulary)
        self.length = length
        self._longest = max(len(one.removeprefix("##")) for one in self.vocabulary)
        self._unknown, self._start, self._end = (
            self.vocabulary.index(one) for one in ("[UNK]", "[CLS]", "[SEP]")
        )
        self._ids = _table(self.vocabulary, range(len(self.vocabulary)), -1)
        plain = _plain_characters()
        self._plain = _table(list(plain), list(plain.values()), SAME)

    def call(self, inputs: Any) -> Any:
        import tensorflow as tf

        words = tf.strings.split(self._clean(tf.reshape(inputs, [-1])))
        pieces = self._cut(words.flat_values)
        ids = words.with_flat_values(pieces).merge_dims(1, 2)[:, : self.length - 2]
        rows = ids.nrows()
        start, end = (
            tf.fill([rows, 1], tf.constant(one, tf.int32))
            for one in (self._start, self._end)
        )
        return tf.concat([start, ids, end], axis=1).to_tensor()

    def _clean(self, texts: Any) -> Any:
        import tensorflow as tf

        texts = tf.strings.regex_replace(texts, f"({HAN})", r" \1 ")
        characters = tf.strings.unicode_split(texts, "UTF-8")
        plain = self._plain.lookup(characters.flat_values)
        plain = tf.where(plain == SAME, characters.flat_values, plain)
        return tf.strings.reduce_join(characters.with_flat_values(plain), axis=-1)

    def _cut(self, words: Any) -> Any:
        """Return the ids of the pieces of each word, ragged `(words, pieces)`."""
        import tensorflow as tf

        lengths = tf.strings.length(words, unit="UTF8_CHAR")
        sizes = tf.range(1, self._longest + 1)[None]

        def cut_one(step: Any, starts: Any, good: Any, found: Any) -> Any:
            active = tf.where(good & (starts < lengths))[:, 0]
            at = tf.gather(starts, active)[:, None] + tf.zeros_like(sizes)
            some = tf.gather(words, active)[:, None]
            parts = tf.strings.substr(
                tf.repeat(some, self._longest, axis=1),
                at,
                sizes + tf.zeros_like(at),
                unit="UTF8_CHAR",
            )
            ids = self._ids.lookup(
                tf.where(at > 0, tf.strings.join(["##", parts]), parts)
            )
            fits = (ids >= 0) & (at + sizes <= tf.gather(lengths, active)[:, None])
            size = tf.reduce_max(tf.where(fits, sizes, 0), axis=1)
            # The last id of a longest fit: of all that fit, the one of that size.
            piece = tf.reduce_max(tf.where(fits & (sizes == size[:, None]), ids, -1), 1)
            where = active[:, None]
            starts = tf.tensor_scatter_nd_add(starts, where, size)
            good = tf.tensor_scatter_nd_update(good, where, size > 0)
            shown = tf.scatter_nd(where, piece + 1, tf.shape(words, tf.int64)) - 1
            return step + 1, starts, good, found.write(step, shown)

        # One entry at least: a graph can't stack none, where all texts are empty.
        found = tf.TensorArray(tf.int32, 1, dynamic_size=True, element_shape=[None])
        found = found.write(0, tf.fill(tf.shape(words), -1))
        _, _, good, found = tf.while_loop(
            lambda step, starts, good, found: tf.reduce_any(good & (starts < lengths)),
            cut_one,
            (
                tf.constant(1),
                tf.zeros_like(lengths),
                lengths <= LONGEST_WORD,
                found,
            ),
        )
        unknown = tf.where(good, -1, self._unknown)[:, None]
        pieces = tf.where(good[:, None], tf.transpose(found.stack()), -1)
        ids = tf.concat([unknown, pieces], axis=1)
        return tf.ragged.boolean_mask(ids, ids >= 0)

    def compute_output_spec(self, inputs: Any) -> Any:
        return keras.KerasTensor((inputs.shape[0], None), dtype="int32")

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        return {**config, "vocabulary": self.vocabulary, "length": self.length}


def _table(keys: Sequence[str], values: Sequence[Any], default: Any) -> Any:
    import tensorflow as tf

    value_type = tf.string if isinstance(default, str) else tf.int32
    entries = tf.lookup.KeyValueTensorInitializer(
        tf.constant(list(keys)), tf.constant(list(values), value_type)
    )
    return tf.lookup.StaticHashTable(entries, default)


@functools.cache
def _plain_characters() -> dict[str, str]:
    """Return what each character becomes, for those that don't stay as they are."""
    found = {}
    for code in range(sys.maxunicode + 1):
        character = chr(code)
        if 0xD800 <= code < 0xE000:  # half of a pair in UTF-16, and no character
            continue
        plain = _plain(character)
        if plain != character:
            found[character] = plain
    return found


def _plain(character: str) -> str:
    if character in "\t\n\r":
        return " "
    kind = unicodedata.category(character)
    if character == "\ufffd" or kind in ("Cc", "Cf", "Co"):
        return ""
    if kind == "Cn":  # not assigned: newer tables may say more
        return character
    parts = unicodedata.normalize("NFD", character)
    return "".join(
        _apart(one.lower()) for one in parts if unicodedata.category(one) != "Mn"
    )


def _apart(character: str) -> str:
    kind = unicodedata.category(character[0])
    if kind in ("Zs", "Zl", "Zp"):
        return " "
    ascii_symbol = character.isascii() and not character.isalnum()
    return f" {character} " if ascii_symbol or kind.startswith("P") else character
