"""Layers that look words and numbers up in a vocabulary."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ranvier._check import Constraint, Interval, OneOf, Optional, check_parameters
from ranvier.errors import DataError, ShapeError
from ranvier.graph import Tensor, Variable
from ranvier.layers.categories import no_sparse
from ranvier.layers.hashes import buckets, salt_of
from ranvier.layers.host import HostLayer
from ranvier.symbolic import KerasTensor

Array = np.ndarray[Any, Any]
#: Keras's names of output modes in its second version.
_OLD_MODES = {"binary": "multi_hot", "tf-idf": "tf_idf"}


class _Lookup(HostLayer):
    """Base: a vocabulary, and what is not in it.

    Indices are: 0 for `mask_token` (if there is one, in mode `"int"`), then
    `num_oov_indices` for what is not in the vocabulary, then the vocabulary.
    """

    _parameters: ClassVar[dict[str, Constraint]] = {
        "max_tokens": Optional(Interval(int, 2)),
        "num_oov_indices": Interval(int, 0),
        "output_mode": OneOf("int", "one_hot", "multi_hot", "count", "tf_idf"),
        "oov_method": OneOf("floormod", "farmhash"),
    }

    def __init__(
        self,
        max_tokens: int | None,
        num_oov_indices: int,
        mask_token: Any,
        oov_token: Any,
        vocabulary: Any,
        idf_weights: Any,
        invert: bool,
        output_mode: str,
        sparse: bool,
        pad_to_max_tokens: bool,
        oov_method: str,
        salt: Any,
        **kwargs: Any,
    ) -> None:
        # Written by `get_config`: how many columns there are before the words are read.
        self._expected_size: int | None = kwargs.pop("vocabulary_size", None)
        kwargs.pop("has_input_vocabulary", None)
        super().__init__(**kwargs)
        owner = type(self).__name__
        output_mode = _OLD_MODES.get(output_mode, output_mode)
        given = {
            "max_tokens": max_tokens,
            "num_oov_indices": num_oov_indices,
            "output_mode": output_mode,
            "oov_method": oov_method,
        }
        check_parameters(owner, self._parameters, given)
        no_sparse(owner, sparse)
        self.oov_method, self.salt = oov_method, salt_of(owner, salt)
        if salt is not None and not self._hashes:
            raise ShapeError("RV100", f"{owner}: a salt needs oov_method='farmhash'")
        if invert and output_mode != "int":
            raise ShapeError("RV100", f"{owner}: invert=True needs output_mode='int'")
        if pad_to_max_tokens and max_tokens is None:
            raise ShapeError("RV100", f"{owner}: pad_to_max_tokens needs max_tokens")
        if idf_weights is not None and output_mode != "tf_idf":
            raise ShapeError("RV100", f"{owner}: idf_weights need output_mode='tf_idf'")
        self.max_tokens, self.num_oov_indices = max_tokens, num_oov_indices
        self.mask_token, self.oov_token = mask_token, oov_token
        self.invert, self.output_mode = invert, output_mode
        self.sparse, self.pad_to_max_tokens = False, pad_to_max_tokens
        path = isinstance(vocabulary, (str, Path))
        self.input_vocabulary = None if path else _listed(vocabulary)
        self.input_idf_weights = _listed(idf_weights)
        self._fixed = vocabulary is not None
        self._idf: Array | None = None
        self._take([])
        self.built = True
        if vocabulary is not None:
            self.set_vocabulary(vocabulary, idf_weights)

    # -- what a subclass gives

    _token_dtype = "string"

    def _items(self, values: Any) -> Array:
        """Tokens as an array of the vocabulary's kind."""
        raise NotImplementedError

    @property
    def _hashes(self) -> bool:
        """Whether tokens outside the vocabulary are spread by a hash function."""
        return self.oov_method == "farmhash"

    def _outside(self, tokens: Sequence[Any]) -> Array:
        """Which of several places tokens outside the vocabulary take."""
        texts = [str(token).encode("utf-8") for token in tokens]
        return buckets(texts, self.num_oov_indices, self.salt)

    # -- the vocabulary

    def _oov_start(self) -> int:
        return int(self.mask_token is not None and self.output_mode == "int")

    def _token_start(self) -> int:
        return self._oov_start() + self.num_oov_indices

    def vocabulary_size(self) -> int:
        """How many indices there are, with those of mask and unknown tokens."""
        return len(self._tokens) + self._token_start()

    def get_vocabulary(self, include_special_tokens: bool = True) -> list[Any]:
        """The tokens, each at its index.

        Args:
            include_special_tokens: whether mask and unknown tokens are among them.
        """
        if not include_special_tokens:
            return list(self._tokens)
        special = [self.mask_token] * self._oov_start()
        return [*special, *[self.oov_token] * self.num_oov_indices, *self._tokens]

    def set_vocabulary(self, vocabulary: Any, idf_weights: Any = None) -> None:
        """Takes a vocabulary as it is.

        Args:
            vocabulary: tokens, with or without the special ones in front; or the path
                of a file with a token on each line.
            idf_weights: a weight for each token, in mode `"tf_idf"`.

        Raises:
            ShapeError: RV100 for an empty vocabulary, tokens that are there twice or
                are special, too many of them, or weights that do not fit.
        """
        weighted = self.output_mode == "tf_idf"
        if weighted != (idf_weights is not None):
            verb = "needs" if weighted else "has no use for"
            raise self._refused(f"output_mode={self.output_mode!r} {verb} idf_weights")
        if isinstance(vocabulary, (str, Path)):
            _refuse_foreign(vocabulary)
            vocabulary = Path(vocabulary).read_text(encoding="utf-8").splitlines()
        given = self._items(vocabulary).ravel().tolist()
        if not given:
            raise self._refused("the vocabulary is empty")
        start = self._token_start()
        special = [self.mask_token] * self._oov_start()
        special += [self.oov_token] * self.num_oov_indices
        found = given[:start] == special
        tokens = given[start:] if found else given
        twice = [t for t, n in Counter(tokens).items() if n > 1]
        if twice:
            raise self._refused(f"tokens that are there twice: {twice[:5]}")
        reserved = [self.mask_token, *[self.oov_token] * self.invert]
        for token in reserved:
            if token is not None and token in tokens:
                raise self._refused(
                    f"{token!r} is special, and stands only at the front: {special}"
                )
        if self.max_tokens is not None and start + len(tokens) > self.max_tokens:
            raise self._refused(
                f"{start + len(tokens)} tokens are more than max_tokens="
                f"{self.max_tokens}"
            )
        self._take(tokens)
        if weighted:
            weights = np.asarray(idf_weights, "float32")
            if weights.shape != (len(given),):
                raise self._refused(
                    f"{len(given)} tokens, idf_weights of shape {weights.shape}"
                )
            front = 0 if found else start
            self._weigh(np.pad(weights, (front, 0), constant_values=weights.mean()))

    def _refused(self, problem: str) -> ShapeError:
        return ShapeError("RV100", f"{type(self).__name__}: {problem}")

    def _take(self, tokens: Sequence[Any]) -> None:
        start = self._token_start()
        self._tokens = list(tokens)
        self._index = {t: i for i, t in enumerate(self._tokens, start)}
        if self.mask_token is not None:
            # A mask has index 0, or no column.
            self._index[self.mask_token] = 0 if self.output_mode == "int" else -1

    def _weigh(self, weights: Array) -> None:
        if self.pad_to_max_tokens and self.max_tokens is not None:
            weights = np.pad(weights, (0, self.max_tokens - len(weights)))
        self._idf = weights

    def adapt(self, data: Any, steps: int | None = None) -> None:
        """Takes the vocabulary from data: the most frequent tokens first.

        Among equally frequent ones, the last in order comes first, as in Keras.

        Args:
            data: an array or list of tokens, or an iterator over batches of them.
            steps: at most so many batches of an iterator.

        Raises:
            ShapeError: RV100 when a vocabulary was given.
        """
        self._adapt(self._documents(data, steps))

    def _documents(self, data: Any, steps: int | None) -> Iterable[list[Any]]:
        if isinstance(data, (list, tuple)) or hasattr(data, "__array__"):
            items = self._items(data)
            # Each single token is a document of its own.
            yield from items.reshape(len(items), -1).tolist()
            return
        for step, batch in enumerate(data):
            if steps is not None and step >= steps:
                return
            items = self._items(batch)
            # Here one row of tokens is one document.
            yield from np.atleast_2d(items).reshape(-1, items.shape[-1]).tolist()

    def _adapt(self, documents: Iterable[list[Any]]) -> None:
        if self._fixed:
            raise self._refused("adapt() has no use when a vocabulary is given")
        counts: Counter[Any] = Counter()
        rows: Counter[Any] = Counter()
        number = 0
        for document in documents:
            counts.update(document)
            rows.update(set(document))
            number += 1
        for token in (self.mask_token, self.oov_token):
            counts.pop(token, None)
        if not counts:
            return
        ranked = sorted(counts, key=lambda t: (counts[t], t), reverse=True)
        if self.max_tokens is not None:
            ranked = ranked[: max(self.max_tokens - self._token_start(), 0)]
        self._take(ranked)
        if self.output_mode == "tf_idf":
            shares = [math.log(1 + number / (1 + rows[t])) for t in ranked]
            weights = np.asarray(shares, "float32")
            front = (self._token_start(), 0)
            self._weigh(np.pad(weights, front, constant_values=weights.mean()))

    # -- looking up

    def call(self, inputs: Any) -> Any:
        """Indices (int64) or columns; with `invert`, the tokens.

        Raises:
            DataError: RV203 for a token outside the vocabulary when there is no index
                for such tokens.
            ShapeError: RV106 for columns before there is a vocabulary.
        """
        if self.invert:
            words = self.get_vocabulary()
            places = np.asarray(_plain_array(inputs), "int64")
            known = [
                words[i] if 0 <= i < len(words) else self.oov_token
                for i in places.ravel().tolist()
            ]
            return self._inverted(known, places.shape)
        items = self._items(inputs)
        flat = items.ravel().tolist()
        found = [self._index.get(t, _UNKNOWN) for t in flat]
        indices = np.asarray(found, "int64").reshape(items.shape)
        unknown = np.flatnonzero(indices == _UNKNOWN)
        if unknown.size:
            indices.put(unknown, self._places([flat[i] for i in unknown]))
        if self.output_mode == "int":
            return Tensor(value=indices)
        return Tensor(value=self._columns(indices))

    def _inverted(self, tokens: list[Any], shape: tuple[int, ...]) -> Any:
        return Tensor(value=np.asarray(tokens, "int64").reshape(shape))

    def _places(self, tokens: list[Any]) -> Any:
        """Indices of tokens that are not in the vocabulary."""
        if not self.num_oov_indices:
            raise DataError(
                "RV203",
                f"{type(self).__name__}: {tokens[0]!r} is not in the vocabulary",
                fix="num_oov_indices=1",
            )
        one = self.num_oov_indices == 1
        return self._oov_start() + (0 if one else self._outside(tokens))

    def _depth(self, expected: int | None = None) -> int:
        """How many columns there are; `expected` before there is a vocabulary.

        Raises:
            ShapeError: RV106 when nothing is known.
        """
        if self.pad_to_max_tokens and self.max_tokens is not None:
            return self.max_tokens
        if self._tokens:
            return self.vocabulary_size()
        if expected is not None:
            return int(expected)
        raise ShapeError(
            "RV106",
            f"layer {self.name!r} has no vocabulary yet",
            fix="layer.adapt(data) or layer.set_vocabulary(tokens), before it is called",
        )

    def compute_output_spec(self, inputs: KerasTensor) -> KerasTensor:
        """Shape and dtype of the result, for a symbolic input."""
        shape, mode = tuple(inputs.shape), self.output_mode
        expected = self._expected_size
        if mode == "int":
            return KerasTensor(shape, self._token_dtype if self.invert else "int64")
        if mode == "one_hot":
            rows = shape[:-1] if len(shape) > 1 and shape[-1] == 1 else shape
            return KerasTensor((*rows, self._depth(expected)), self.compute_dtype)
        if len(shape) < 2:
            raise ShapeError(
                "RV103",
                f"{type(self).__name__}: output_mode={mode!r} in a model takes several "
                f"tokens for each row, got inputs of shape {shape}",
                fix="keras.Input((1,), dtype=...)",
            )
        sizes = (shape[0], *shape[2:], self._depth(expected))
        return KerasTensor(sizes, self.compute_dtype)

    def _columns(self, indices: Array) -> Array:
        depth = self._depth()
        mode = self.output_mode
        indices = np.atleast_1d(indices)
        if mode == "one_hot" and indices.ndim > 1 and indices.shape[-1] == 1:
            indices = indices[..., 0]
        hot = np.expand_dims(indices, -1) == np.arange(depth)
        if mode == "one_hot":
            return hot.astype("int64")
        axis = 1 if indices.ndim > 1 else 0
        if mode == "multi_hot":
            return hot.any(axis).astype("int64")
        counts = hot.sum(axis, dtype="int64")
        return counts if self._idf is None else counts.astype("float32") * self._idf

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments; what `adapt` learned is not among them."""
        vocabulary, idf_weights = self.input_vocabulary, self.input_idf_weights
        if vocabulary is None and self._by_config():
            vocabulary = self._tokens
            if self._idf is not None:
                start = self._token_start()
                idf_weights = self._idf[start : start + len(vocabulary)].tolist()
        return {
            **super().get_config(),
            "invert": self.invert,
            "max_tokens": self.max_tokens,
            "num_oov_indices": self.num_oov_indices,
            "oov_token": self.oov_token,
            "mask_token": self.mask_token,
            "output_mode": self.output_mode,
            "sparse": self.sparse,
            "pad_to_max_tokens": self.pad_to_max_tokens,
            "idf_weights": idf_weights,
            "vocabulary": vocabulary,
            "vocabulary_size": self.vocabulary_size() if self._tokens else None,
            "oov_method": self.oov_method,
            "salt": self.salt,
        }

    # -- files

    def save_own_variables(self, store: Any) -> None:
        """Writes the weights of the words, in mode `"tf_idf"`."""
        if self._idf is not None:
            store["idf_weights"] = self._idf

    def load_own_variables(self, store: Mapping[str, Any]) -> None:
        """Reads the weights of the words, in mode `"tf_idf"`."""
        if "idf_weights" in store:
            self._idf = np.asarray(store["idf_weights"], "float32")

    def assets(self) -> dict[str, bytes]:
        """The vocabulary as a text file, a token on each line, as Keras writes it.

        A vocabulary that was given stands in the configuration; so does one that cannot
        be told from its lines.
        """
        if self.input_vocabulary is not None or self._by_config():
            return {}
        lines = map(str, self.get_vocabulary())
        return {"vocabulary.txt": "\n".join(lines).encode("utf-8")}

    def _by_config(self) -> bool:
        """Whether the vocabulary has tokens that are no lines of a text file."""
        words = (t for t in self._tokens if isinstance(t, str) and t)
        return any(word.splitlines() != [word] for word in words)

    def take_assets(self, files: Mapping[str, bytes]) -> None:
        """Takes the vocabulary that `assets` (or Keras) wrote."""
        if self.input_vocabulary is not None or "vocabulary.txt" not in files:
            return
        text = files["vocabulary.txt"].decode("utf-8")
        if text.count("\n") == text.count("\r\n"):  # written on Windows
            text = text.replace("\r\n", "\n")
        lines = text.split("\n")
        if len(lines) <= self._token_start():
            return  # it had learned nothing
        idf = self._idf
        self.set_vocabulary(
            np.asarray(lines), None if idf is None else idf[: len(lines)]
        )
        self._idf = idf


#: Stands for what is not in the vocabulary, until it has its index.
_UNKNOWN = -2


def _refuse_foreign(path: str | Path) -> None:
    """A model file may not name other files, which would be read.

    Raises:
        FileError: RV601.
    """
    from ranvier.models.restore import is_restoring, unreadable

    if is_restoring():
        raise unreadable(
            f"a vocabulary in another file is named: {str(path)[:80]!r}",
            "layer.set_vocabulary(path) after loading",
        )


def _listed(value: Any) -> Any:
    return None if value is None else np.asarray(_plain_array(value)).tolist()


def _plain_array(value: Any) -> Any:
    return value.numpy() if isinstance(value, (Tensor, Variable)) else value


def texts_of(values: Any, owner: str, encoding: str = "utf-8") -> Array:
    """An array of Python's texts, from texts or bytes.

    Raises:
        DataError: RV203 for anything else.
    """
    array = np.asarray(values, dtype=object)
    flat = [
        v.decode(encoding) if isinstance(v, bytes) else v
        for v in array.ravel().tolist()
    ]
    for value in flat:
        if not isinstance(value, str):
            raise DataError(
                "RV203",
                f"{owner} takes texts; got {value!r} of type {type(value).__name__}",
                fix="np.asarray(values).astype(str)",
            )
    texts = np.empty(len(flat), object)
    texts[:] = flat
    return texts.reshape(array.shape)


class StringLookup(_Lookup):
    """Words as indices into a vocabulary, or as columns.

    Indices are: 0 for `mask_token` if there is one and the mode is `"int"`, then
    `num_oov_indices` for words that are not in the vocabulary, then the vocabulary.
    In a `Sequential` or functional model it runs before the compiled step, on
    ``keras.Input(shape, dtype="string")``.

    Args:
        max_tokens: largest number of indices; `adapt` keeps the most frequent words.
        num_oov_indices: indices of unknown words: 1; 0 to refuse them; or several,
            among which the FarmHash of a word decides.
        mask_token: the word that stands for nothing.
        oov_token: what unknown words are called in the vocabulary.
        vocabulary: the words, or the path of a file with a word on each line.
        idf_weights: a weight for each word, in mode `"tf_idf"`.
        invert: indices to words instead.
        output_mode: `"int"`, `"one_hot"`, `"multi_hot"`, `"count"`, or `"tf_idf"`:
            counts times weights.
        pad_to_max_tokens: as many columns as `max_tokens`.
        sparse: only False.
        encoding: of bytes.
        oov_method: kept for Keras's signature; words are always spread by their hash.
        salt: one or two whole numbers: words are spread by SipHash with this key.
        **kwargs: see `Layer`.

    Raises:
        ShapeError: RV100 for arguments that cannot be.

    Example:
        >>> layer = StringLookup(vocabulary=["red", "green"])
        >>> layer(["green", "blue", "red"]).numpy()
        array([2, 0, 1])
        >>> StringLookup(vocabulary=["red", "green"], invert=True)([2, 1]).tolist()
        ['green', 'red']
    """

    def __init__(
        self,
        max_tokens: int | None = None,
        num_oov_indices: int = 1,
        mask_token: str | None = None,
        oov_token: str = "[UNK]",
        vocabulary: Any = None,
        idf_weights: Any = None,
        invert: bool = False,
        output_mode: str = "int",
        pad_to_max_tokens: bool = False,
        sparse: bool = False,
        encoding: str = "utf-8",
        oov_method: str = "floormod",
        salt: Any = None,
        **kwargs: Any,
    ) -> None:
        self.encoding = encoding
        super().__init__(
            max_tokens, num_oov_indices, mask_token, oov_token, vocabulary, idf_weights,
            invert, output_mode, sparse, pad_to_max_tokens, oov_method, salt, **kwargs,
        )  # fmt: skip
        if invert:
            self._input_dtype = "int64"

    @property
    def _hashes(self) -> bool:
        return True  # there is no remainder of a word

    def _items(self, values: Any) -> Array:
        return texts_of(values, type(self).__name__, self.encoding)

    def _inverted(self, tokens: list[Any], shape: tuple[int, ...]) -> Any:
        return np.asarray(tokens).reshape(shape)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments; what `adapt` learned is not among them."""
        return {**super().get_config(), "encoding": self.encoding}


class IntegerLookup(_Lookup):
    """Whole numbers as indices into a vocabulary, or as columns; see `StringLookup`.

    Args:
        max_tokens: largest number of indices; `adapt` keeps the most frequent numbers.
        num_oov_indices: indices of unknown numbers: 1; 0 to refuse them; or several.
        mask_token: the number that stands for nothing.
        oov_token: what unknown numbers are called in the vocabulary.
        vocabulary: the numbers, or the path of a file with one on each line.
        vocabulary_dtype: only `"int64"`.
        idf_weights: a weight for each number, in mode `"tf_idf"`.
        invert: indices to numbers instead.
        output_mode: `"int"`, `"one_hot"`, `"multi_hot"`, `"count"` or `"tf_idf"`.
        sparse: only False.
        pad_to_max_tokens: as many columns as `max_tokens`.
        oov_method: how unknown numbers are spread over several indices: by their
            remainder (`"floormod"`), or by the hash of their digits (`"farmhash"`).
        salt: one or two whole numbers: with `"farmhash"`, the hash is SipHash with this
            key.
        **kwargs: see `Layer`.

    Raises:
        ShapeError: RV100 for arguments that cannot be.

    Example:
        >>> IntegerLookup(vocabulary=[12, 36])([36, 7, 12]).numpy()
        array([2, 0, 1])
    """

    def __init__(
        self,
        max_tokens: int | None = None,
        num_oov_indices: int = 1,
        mask_token: int | None = None,
        oov_token: int = -1,
        vocabulary: Any = None,
        vocabulary_dtype: str = "int64",
        idf_weights: Any = None,
        invert: bool = False,
        output_mode: str = "int",
        sparse: bool = False,
        pad_to_max_tokens: bool = False,
        oov_method: str = "floormod",
        salt: Any = None,
        **kwargs: Any,
    ) -> None:
        check_parameters(
            "IntegerLookup",
            {"vocabulary_dtype": OneOf("int64")},
            {"vocabulary_dtype": vocabulary_dtype},
        )
        super().__init__(
            max_tokens, num_oov_indices, mask_token, oov_token, vocabulary, idf_weights,
            invert, output_mode, sparse, pad_to_max_tokens, oov_method, salt, **kwargs,
        )  # fmt: skip

    def _items(self, values: Any) -> Array:
        array = np.asarray(_plain_array(values))
        if array.dtype.kind == "U":  # lines of a file
            array = array.astype("int64")
        if array.dtype.kind not in "iub":
            raise DataError(
                "RV203",
                f"IntegerLookup takes whole numbers; got {array.dtype}",
                fix="x.astype('int64')",
            )
        return array.astype("int64")

    _token_dtype = _input_dtype = "int64"

    def _outside(self, tokens: Sequence[Any]) -> Array:
        if self._hashes:
            return super()._outside(tokens)
        return np.asarray(tokens, "int64") % self.num_oov_indices

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments; what `adapt` learned is not among them."""
        return {**super().get_config(), "vocabulary_dtype": "int64"}


__all__ = ["HostLayer", "IntegerLookup", "StringLookup", "texts_of"]
