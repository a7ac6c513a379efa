"""Texts as indices of words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ranvier._check import Interval, OneOf, check_parameters
from ranvier.errors import ShapeError
from ranvier.graph import Tensor
from ranvier.layers.host import HostLayer
from ranvier.layers.lookup import StringLookup, texts_of
from ranvier.symbolic import KerasTensor

_PUNCTUATION = re.compile(r"""[!"#$%&()*+,\-./:;<=>?@\[\\\]^_`{|}~']""")
#: TensorFlow's white space and lower case are those of ASCII.
_SPACE = re.compile(r"[ \t\n\v\f\r]+")
_LOWER = {i: i + 32 for i in range(ord("A"), ord("Z") + 1)}
_STANDARDS = ("lower_and_strip_punctuation", "lower", "strip_punctuation")


class TextVectorization(HostLayer):
    """Texts as indices of their words, or as columns.

    Texts are standardized, split, joined to n-grams and looked up (`StringLookup`);
    index 0 fills up, 1 is an unknown word. In a `Sequential` or functional model it runs
    before the compiled step, on ``keras.Input((1,), dtype="string")``.

    Args:
        max_tokens: largest number of indices; `adapt` keeps the most frequent words.
        standardize: `"lower_and_strip_punctuation"`, `"lower"`, `"strip_punctuation"`,
            ``None``, or a function of an array of texts. Lower case is that of ASCII.
        split: `"whitespace"`, `"character"`, ``None``, or a function from an array of
            texts to a list of their words.
        ngrams: join up to so many words, or a tuple of how many.
        output_mode: `"int"`, `"one_hot"`, `"multi_hot"`, `"count"` or `"tf_idf"`.
        output_sequence_length: fill up or cut to so many words, in mode `"int"`; by
            default to the longest of the batch.
        pad_to_max_tokens: as many columns as `max_tokens`.
        vocabulary: the words, or the path of a file with a word on each line.
        idf_weights: a weight for each word, in mode `"tf_idf"`.
        sparse: only False.
        ragged: only False.
        encoding: of bytes.
        **kwargs: see `Layer`.

    Raises:
        ShapeError: RV100 for arguments that cannot be.

    Example:
        >>> layer = TextVectorization(output_sequence_length=4)
        >>> layer.adapt(["The cat.", "the dog"])
        >>> layer.get_vocabulary()
        ['', '[UNK]', 'the', 'dog', 'cat']
        >>> layer(["The red cat"]).numpy()
        array([[2, 1, 4, 0]])
    """

    def __init__(
        self,
        max_tokens: int | None = None,
        standardize: str | Callable[[Any], Any] | None = _STANDARDS[0],
        split: str | Callable[[Any], Any] | None = "whitespace",
        ngrams: int | tuple[int, ...] | None = None,
        output_mode: str = "int",
        output_sequence_length: int | None = None,
        pad_to_max_tokens: bool = False,
        vocabulary: Any = None,
        idf_weights: Any = None,
        sparse: bool = False,
        ragged: bool = False,
        encoding: str = "utf-8",
        **kwargs: Any,
    ) -> None:
        size = kwargs.pop("vocabulary_size", None)
        super().__init__(**kwargs)
        given = {"standardize": standardize, "split": split}
        allowed = {
            "standardize": OneOf(*_STANDARDS),
            "split": OneOf("whitespace", "character"),
        }
        named = {k: v for k, v in given.items() if v is not None and not callable(v)}
        check_parameters("TextVectorization", {k: allowed[k] for k in named}, named)
        if ragged:
            raise ShapeError("RV100", "TextVectorization: there are no ragged tensors")
        widths = range(1, ngrams + 1) if isinstance(ngrams, int) else ngrams
        if widths is not None and not all(Interval(int, 1).accepts(w) for w in widths):
            raise ShapeError(
                "RV100",
                f"TextVectorization: ngrams={ngrams!r} must be whole numbers from 1 on",
                fix="ngrams=2",
            )
        if output_sequence_length is not None:
            if output_mode != "int":
                raise ShapeError(
                    "RV100",
                    "TextVectorization: output_sequence_length needs output_mode='int'",
                )
            check_parameters(
                "TextVectorization",
                {"output_sequence_length": Interval(int, 1)},
                {"output_sequence_length": output_sequence_length},
            )
        self.standardize, self.split, self.ngrams = standardize, split, ngrams
        self._widths = None if widths is None else tuple(widths)
        self.output_sequence_length = output_sequence_length
        self.encoding = encoding
        self._lookup_layer = StringLookup(
            max_tokens=max_tokens,
            vocabulary=vocabulary,
            idf_weights=idf_weights,
            mask_token="",
            output_mode=output_mode,
            sparse=sparse,
            pad_to_max_tokens=pad_to_max_tokens,
            vocabulary_size=size,
        )
        self.output_mode = self._lookup_layer.output_mode
        self.built = True

    def get_vocabulary(self, include_special_tokens: bool = True) -> list[str]:
        """The words, each at its index; see `StringLookup.get_vocabulary`."""
        return self._lookup_layer.get_vocabulary(include_special_tokens)

    def set_vocabulary(self, vocabulary: Any, idf_weights: Any = None) -> None:
        """Takes a vocabulary as it is; see `StringLookup.set_vocabulary`."""
        self._lookup_layer.set_vocabulary(vocabulary, idf_weights)

    def vocabulary_size(self) -> int:
        """How many indices there are, with those that fill up and of unknown words."""
        return self._lookup_layer.vocabulary_size()

    def adapt(
        self, data: Any, batch_size: int | None = None, steps: int | None = None
    ) -> None:
        """Takes the vocabulary from texts: the most frequent words first.

        Args:
            data: an array or list of texts, or an iterator over batches of them.
            batch_size: kept for Keras's signature.
            steps: at most so many batches of an iterator.

        Raises:
            ShapeError: RV100 when a vocabulary was given.
        """
        one = isinstance(data, (list, tuple)) or hasattr(data, "__array__")

        def documents() -> Iterable[list[str]]:
            for step, batch in enumerate([data] if one else data):
                if not one and steps is not None and step >= steps:
                    return
                yield from self._words(batch)

        self._lookup_layer._adapt(documents())

    def _check_axes(self, shape: Sequence[Any]) -> bool:
        """Whether there is a last axis of one text, which gives way to its words.

        Raises:
            ShapeError: RV103 for several texts in a row, where texts are split.
        """
        if self.split is None or len(shape) < 2:
            return False
        if len(shape) == 2 and shape[-1] == 1:
            return True
        raise ShapeError(
            "RV103",
            "TextVectorization: texts that are split have one axis, or a last "
            f"one of size 1; got shape {tuple(shape)}",
            fix="texts.ravel(), or split=None for words",
        )

    def _words(self, values: Any) -> list[list[str]]:
        """The words of each text."""
        texts = texts_of(values, "TextVectorization", self.encoding)
        if texts.ndim == 0:
            texts = texts[None]
        if self._check_axes(texts.shape):
            texts = texts[..., 0]
        if callable(self.standardize):
            plain = np.asarray(texts.tolist(), dtype=str)
            texts = texts_of(self.standardize(plain), "standardize")
        if callable(self.split):
            found = [[str(w) for w in words] for words in self.split(texts)]
        elif self.split is None:
            table = texts.reshape(len(texts), -1).tolist()
            found = [[self._standard(w) for w in words] for words in table]
        else:
            found = [self._cut(self._standard(t)) for t in texts.ravel().tolist()]
        return found if self._widths is None else [self._joined(w) for w in found]

    def _standard(self, text: str) -> str:
        how = self.standardize if isinstance(self.standardize, str) else ""
        if how.startswith("lower"):
            text = text.translate(_LOWER)
        return _PUNCTUATION.sub("", text) if how.endswith("punctuation") else text

    def _cut(self, text: str) -> list[str]:
        if self.split == "character":
            return list(text)
        return [word for word in _SPACE.split(text) if word]

    def _joined(self, words: list[str]) -> list[str]:
        return [
            " ".join(words[i : i + width])
            for width in self._widths or ()
            for i in range(len(words) - width + 1)
        ]

    @property
    def rows_apart(self) -> bool:
        """Whether texts are filled up to a length that does not depend on the batch."""
        fixed = self.output_sequence_length is not None or self.split is None
        return fixed or self.output_mode not in ("int", "one_hot")

    def compute_output_spec(self, inputs: KerasTensor) -> KerasTensor:
        """Shape and dtype of the result, for a symbolic input."""
        self._check_axes(inputs.shape)
        if self.output_mode == "int":
            words = self.output_sequence_length
            if words is None and self.split is None and self.ngrams is None:
                words = 1 if len(inputs.shape) < 2 else inputs.shape[-1]
            return KerasTensor((inputs.shape[0], words), "int64")
        words = KerasTensor((inputs.shape[0], None), "string")
        return self._lookup_layer.compute_output_spec(words)

    def call(self, inputs: Any) -> Any:
        """Indices `(texts, words)` (int64), or columns `(texts, tokens)`."""
        words = self._words(inputs)
        if self.output_mode == "one_hot" and len({len(row) for row in words}) > 1:
            raise ShapeError(
                "RV103",
                "TextVectorization: output_mode='one_hot' needs texts of equally many "
                "words",
                fix="output_mode='multi_hot'",
            )
        length = max((len(row) for row in words), default=0)
        if self.output_sequence_length is not None:
            length = self.output_sequence_length
        # The empty word is the mask: index 0, or no column.
        table = [[*row[:length], *[""] * (length - len(row))] for row in words]
        array = np.asarray(table, dtype=object).reshape(len(words), length)
        found: Tensor = self._lookup_layer(array)
        return found

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments; what `adapt` learned is not among them."""
        table = self._lookup_layer
        return {
            **super().get_config(),
            "max_tokens": table.max_tokens,
            "standardize": self.standardize,
            "split": self.split,
            "ngrams": self.ngrams,
            "output_mode": self.output_mode,
            "output_sequence_length": self.output_sequence_length,
            "pad_to_max_tokens": table.pad_to_max_tokens,
            "sparse": False,
            "ragged": False,
            "vocabulary": table.get_config()["vocabulary"],
            "idf_weights": table.get_config()["idf_weights"],
            "encoding": self.encoding,
            "vocabulary_size": self.vocabulary_size(),
        }

    # -- files

    def save_own_variables(self, store: Any) -> None:
        """Writes the weights of the words, in mode `"tf_idf"`."""
        self._lookup_layer.save_own_variables(store)

    def load_own_variables(self, store: Mapping[str, Any]) -> None:
        """Reads the weights of the words, in mode `"tf_idf"`."""
        self._lookup_layer.load_own_variables(store)

    def assets(self) -> dict[str, bytes]:
        """The vocabulary as a text file."""
        return self._lookup_layer.assets()

    def take_assets(self, files: Mapping[str, bytes]) -> None:
        """Takes the vocabulary that `assets` (or Keras) wrote."""
        self._lookup_layer.take_assets(files)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Any:
        """The layer that `get_config` described, without what it learned."""
        config = dict(config)
        if isinstance(config.get("ngrams"), list):
            config["ngrams"] = tuple(config["ngrams"])
        return super().from_config(config)


__all__ = ["TextVectorization"]
