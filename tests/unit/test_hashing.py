"""Hashes of categories: TensorFlow's numbers, kept here.

The vectors were written by TensorFlow 2.21: ``tf.strings.to_hash_bucket_fast(words, N)``
and ``tf.strings.to_hash_bucket_strong(words, N, key=[133, 137])`` with N as below.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import ranvier as keras
from ranvier import RanvierError, layers
from ranvier.layers.hashes import buckets, farmhash64, siphash24

N = 2**62 - 57
#: text -> its place by FarmHash64, and by SipHash-2-4: all lengths that differ in kind.
VECTORS = {
    "": (1936946117179621569, 316627932347063053),
    "A": (3080236001339897023, 2734447641339851330),
    "ab": (3066228220894225808, 3814769135020288330),
    "abc": (2640714258260161385, 2288159068006480098),
    "word": (2663746565843391339, 2335322534971109134),
    "ranvier": (3129466415832601861, 2107308116088940169),
    "eight ch": (1402045253912234341, 3142380148708703928),
    "a node of Ranvier": (418637859254227294, 4050564817405001375),
    "Ärger in Straße 5": (4494201772021843444, 3484252702010932936),
    "x" * 31: (653807226908884682, 1571790521023093757),
    "y" * 32: (2351315479247125896, 1739609714814096713),
    "z" * 33: (1983000239170337818, 3212790999491273660),
    "w" * 64: (4555407945498560506, 702089228601891224),
    "v" * 65: (978096718525207314, 3711674255615176459),
    "u" * 128: (1466691541297802104, 737585212420610198),
    "t" * 129: (3234498929978985565, 50603660898189878),
    "the quick brown fox jumps over the lazy dog. " * 9: (
        1931893993483593800,
        4142655015597258321,
    ),
    "0": (1363911219970409194, 3811194907141297369),
    "-17": (1485334449061584845, 2956384730136324775),
    "9223372036854775807": (3516461496058286625, 2645002250675734132),
}


def test_known_vectors() -> None:
    words = [text.encode() for text in VECTORS]
    for which, salt in ((0, None), (1, [133, 137])):
        found = buckets(words, N, salt).tolist()
        assert found == [pair[which] for pair in VECTORS.values()]
        # One alone, and in another order, where other strings lie around it.
        assert buckets(words[::-1], N, salt).tolist() == found[::-1]
        assert [buckets([word], N, salt)[0] for word in words] == found


def test_siphash_of_its_authors() -> None:
    """The first vectors of the paper's reference program: key 00 01 .. 0f."""
    key = [0x0706050403020100, 0x0F0E0D0C0B0A0908]
    found = siphash24([bytes(range(n)) for n in (0, 1, 15)], key).tolist()
    assert found == [0x726FDB47DD0E0E31, 0x74F839C593DC67FD, 0xA129CA6149BE45E5]


def test_no_strings() -> None:
    assert farmhash64([]).shape == siphash24([], [1, 2]).shape == (0,)
    assert layers.Hashing(3)(np.empty((0, 2), object)).shape == (0, 2)


def test_places_in_a_model() -> None:
    keras.utils.set_random_seed(0)
    words = np.array(["u", "v", "w", "x"] * 8)
    inputs = keras.Input((1,), dtype="string")
    columns = layers.Hashing(50, output_mode="multi_hot")(inputs)
    model = keras.Model(inputs, layers.Dense(1)(columns))
    model.compile(keras.optimizers.Adam(0.1), "mse")
    targets = np.array([1.0, -2.0, 3.0, 0.5] * 8)
    losses = model.fit(words, targets, epochs=60, verbose=0).history["loss"]
    assert losses[-1] < 0.01 * losses[0]


@pytest.mark.parametrize(
    "bad",
    [
        {"num_bins": 0},
        {"num_bins": 3, "salt": [1, 2, 3]},
        {"num_bins": 3, "salt": -1},
        {"num_bins": 3, "output_mode": "tf_idf"},
        {"num_bins": 3, "dtype": "float32"},
        {"num_bins": 3, "output_mode": "count", "dtype": "float16"},
        {"num_bins": 3, "sparse": True, "output_mode": "count"},
    ],
    ids=lambda bad: "-".join(bad),
)
def test_arguments_that_cannot_be(bad: dict[str, Any]) -> None:
    with pytest.raises(RanvierError, match="RV100"):
        layers.Hashing(**bad)


def test_inputs_that_cannot_be() -> None:
    for bad in ([True], [None], [b"a", 2.5]):
        with pytest.raises(RanvierError, match="RV203"):
            layers.Hashing(3)(np.array(bad, object if bad[0] is not True else None))
    with pytest.raises(RanvierError, match="RV103"):
        layers.Hashing(3, output_mode="count")(keras.Input((), dtype="string"))
