"""Layers that are compositions: what they refuse, and what no oracle shows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import ranvier
from ranvier import layers, ops
from ranvier.errors import FileError, ShapeError

CONSTRUCTORS: list[tuple[str, Any, dict[str, Any], str]] = [
    ("Concatenate", (), {"axis": 0}, "axis 0 counts the rows"),
    ("Concatenate", (), {"axis": "last"}, "whole number"),
    ("Dot", (0,), {}, "axis 0 counts the rows"),
    ("Dot", ((1, 0),), {}, "axis 0"),
    ("Dot", ((1, 2, 3),), {}, "two of them"),
    ("Dot", (1.5,), {}, "whole number"),
    ("Permute", ((1, 3),), {}, "order of the axes"),
    ("Permute", ((0, 1),), {}, "axis 0 counts the rows"),
    ("Permute", (1,), {"name": "a/b"}, "without '/'"),
    ("RepeatVector", (0,), {}, ">= 1"),
    ("RepeatVector", (2.0,), {}, "whole number"),
    ("Cropping1D", (-1,), {}, ">= 0"),
    ("Cropping1D", ((1, 2, 3),), {}, "pair"),
    ("Cropping2D", (((1, 1), (1, -1)),), {}, ">= 0"),
    ("Cropping2D", (1,), {"data_format": "first"}, "channels_first"),
    ("Cropping3D", ((1, 2),), {}, "3"),
    ("ZeroPadding1D", ("1",), {}, ">= 0"),
    ("ZeroPadding2D", ((1, 2, 3),), {}, "2"),
    ("ZeroPadding3D", (-1,), {}, ">= 0"),
    ("UpSampling1D", (0,), {}, ">= 1"),
    ("UpSampling2D", ((2, 0),), {}, ">= 1"),
    ("UpSampling2D", ((2, 2, 2),), {}, "2 of them"),
    ("UpSampling2D", (), {"interpolation": "bilinaer"}, "bilinear"),
    ("UpSampling3D", (1.5,), {}, "whole number"),
    ("EinsumDense", ("ab,bc", 3), {}, "none of x,w->y"),
    ("EinsumDense", ("ab...,bc->...ac", 3), {}, "dots stand on one side"),
    ("EinsumDense", ("aa,ac->ac", 3), {}, "stands twice"),
    ("EinsumDense", ("ab,bc->ad", 3), {}, "'d' of the output"),
    ("EinsumDense", ("ab,bcd->ac", 3), {}, "'d' of the weight"),
    ("EinsumDense", ("ab,bc->ac", "3"), {}, "sizes >= 1"),
    ("EinsumDense", ("ab,bc->ac", 3), {"lora_rank": 2}, "not supported"),
    ("Lambda", ("no function",), {}, "takes a function"),
    ("Masking", ("zero",), {}, "must be a number"),
    ("Wrapper", (3,), {}, "takes a layer"),
    ("TimeDistributed", (layers.Dense,), {}, "takes a layer"),
    ("GroupNormalization", (0,), {}, ">= 1"),
    ("GroupNormalization", (2,), {"axis": "last"}, "whole number"),
    ("GroupNormalization", (2,), {"epsilon": -1.0}, ">= 0"),
    ("RMSNormalization", ("last",), {}, "whole number"),
    ("RMSNormalization", (), {"epsilon": None}, "a number"),
    ("UnitNormalization", (1.5,), {}, "whole number"),
    ("SpectralNormalization", (layers.Dense(2), 0), {}, ">= 1"),
    ("SpectralNormalization", ("Dense",), {}, "takes a layer"),
    ("BatchNormalization", (), {"synchronized": True}, "one replica"),
    (
        "BatchNormalization",
        (),
        {"renorm": True, "renorm_clipping": {"rmin": 2.0, "rmax": 1.0}},
        "rmin <= rmax",
    ),
    (
        "BatchNormalization",
        (),
        {"renorm": True, "renorm_clipping": {"max": 2.0}},
        "renorm_clipping",
    ),
    ("LayerNormalization", (), {"rms_scaling": True}, "RMSNormalization"),
    ("GaussianNoise", (1.5,), {}, "<= 1"),
    ("GaussianDropout", (1.0,), {}, "< 1"),
    ("AlphaDropout", (-0.1,), {}, ">= 0"),
    ("SpatialDropout1D", (2.0,), {}, "<= 1"),
    ("SpatialDropout2D", (0.5, "first"), {}, "channels_first"),
    ("ActivityRegularization", (-1.0,), {}, ">= 0"),
    ("Attention", (), {"score_mode": "product"}, "'concat'"),
    ("AdditiveAttention", (), {"dropout": 1.5}, "<= 1"),
    ("MultiHeadAttention", (0, 3), {}, ">= 1"),
    ("MultiHeadAttention", (2, 3.0), {}, "whole number"),
    ("MultiHeadAttention", (2, 3), {"value_dim": 0}, ">= 1"),
    ("MultiHeadAttention", (2, 3), {"flash_attention": True}, "one kernel"),
    ("MultiHeadAttention", (2, 3), {"sliding_window": 0}, ">= 1"),
    ("MultiHeadAttention", (2, 3), {"output_shape": "wide"}, "whole number"),
    ("MultiHeadAttention", (2, 3), {"attention_axes": 1.5}, "whole number"),
    ("GroupQueryAttention", (2, 4, 3), {}, "evenly"),
    ("GroupQueryAttention", (2, 4, 0), {}, ">= 1"),
    (
        "TimeDistributed",
        (layers.Dense(2, activity_regularizer="l2"),),
        {},
        "single steps",
    ),
]


@pytest.mark.parametrize(("name", "args", "options", "says"), CONSTRUCTORS)
def test_bad_arguments_are_refused(
    name: str, args: Any, options: dict[str, Any], says: str
) -> None:
    with pytest.raises(ShapeError, match="RV100") as caught:
        getattr(layers, name)(*args, **options)
    assert says in str(caught.value)


class Spread(layers.Layer):
    """Hands a list of inputs to a layer that takes them one by one."""

    kind: Any = None

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__()
        self.inner = self.kind(*args, **options)

    def build(self, input_shape: Any) -> None:
        """The inner layer is built when it is called."""

    def call(self, inputs: Any) -> Any:
        """The inner layer of the inputs."""
        return self.inner(*inputs)


class Heads(Spread):
    """MultiHeadAttention."""

    kind = layers.MultiHeadAttention


class Groups(Spread):
    """GroupQueryAttention."""

    kind = layers.GroupQueryAttention


SHAPES: list[tuple[Any, Any, str]] = [
    (lambda: layers.Add(), [(4,), (5,)], "RV103"),
    (lambda: layers.Add(), (4,), "RV100"),
    (lambda: layers.Subtract(), [(4,), (4,), (4,)], "RV100"),
    (lambda: layers.Dot(1), [(4,)], "RV100"),
    (lambda: layers.Dot(2), [(3, 4), (3, 5)], "RV103"),
    (lambda: layers.Dot(2), [(3,), (3, 5)], "RV100"),
    (lambda: layers.Concatenate(), [(2, 3), (3, 3)], "RV103"),
    (lambda: layers.Concatenate(), [(2, 3), (3,)], "RV103"),
    (lambda: layers.Concatenate(2), [(2,), (3,)], "RV100"),
    (lambda: layers.Permute((2, 1)), (3,), "RV103"),
    (lambda: layers.RepeatVector(2), (3, 4), "RV103"),
    (lambda: layers.Cropping1D(2), (4, 3), "RV103"),
    (lambda: layers.Cropping2D(((0, 0), (1, 2))), (4, 3, 2), "RV103"),
    (lambda: layers.Cropping3D(), (4, 2, 4, 1), "RV103"),
    (lambda: layers.ZeroPadding2D(1), (3, 3), "RV103"),
    (lambda: layers.UpSampling2D(), (3, 3), "RV103"),
    (lambda: layers.EinsumDense("abc,cd->abd", (5, 3)), (4, 2), "RV103"),
    (lambda: layers.EinsumDense("abc,cd->abd", (4, 3)), (2,), "RV103"),
    (lambda: layers.EinsumDense("abc,cd->abd", 3), (4, 2), "RV100"),
    (lambda: layers.EinsumDense("ab,bc->ac", 3, bias_axes="b"), (4,), "RV100"),
    (lambda: layers.TimeDistributed(layers.Dense(2)), (4,), "RV103"),
    (lambda: layers.GroupNormalization(3), (4,), "RV100"),
    (lambda: layers.GroupNormalization(2, axis=3), (4,), "RV100"),
    (lambda: layers.GroupNormalization(2, axis=0), (4,), "RV100"),
    (lambda: layers.RMSNormalization(2), (4,), "RV100"),
    (lambda: layers.UnitNormalization(2), (4,), "RV100"),
    (lambda: layers.SpectralNormalization(layers.ReLU()), (4,), "RV100"),
    (lambda: layers.SpatialDropout2D(0.5), (4, 4), "RV103"),
    (lambda: layers.Attention(), (4, 3), "RV100"),
    (lambda: layers.Attention(), [(4, 3)], "RV100"),
    (lambda: layers.Attention(), [(4, 3), (5, 2)], "RV103"),
    (lambda: layers.AdditiveAttention(), [(4, 3), (5, 3), (4, 3)], "RV103"),
    (lambda: Heads(2, 3), [(4, 3), (5,)], "RV103"),
    (lambda: Heads(2, 3), [(3,), (3,)], "RV103"),
    (lambda: Heads(2, 3), [(4, 3), (5, 3), (6, 3)], "RV103"),
    (lambda: Heads(2, 3, attention_axes=2), [(4, 3), (5, 3)], "RV100"),
    (lambda: Heads(2, 3, attention_axes=5), [(4, 3), (5, 3)], "RV100"),
    (lambda: Groups(2, 2, 2), [(2, 4, 3), (2, 5, 3)], "RV103"),
    (lambda: layers.TimeDistributed(layers.Permute((2, 1))), (4, 3), "RV103"),
]


@pytest.mark.parametrize(("make", "shape", "code"), SHAPES)
def test_shapes_that_do_not_fit_are_refused(make: Any, shape: Any, code: str) -> None:
    several = isinstance(shape, list)
    x: Any = [np.ones((2, *s), "f") for s in shape] if several else np.ones((2, *shape))
    with pytest.raises(ShapeError, match=code):
        make()(x)


def test_einsum_sizes_left_open_are_those_of_the_input() -> None:
    layer = layers.EinsumDense("abc,cde->abde", (None, 2, 3), bias_axes="de")
    x = np.random.default_rng(0).normal(size=(2, 4, 5)).astype("float32")
    found = layer(x).numpy()
    wanted = np.einsum("abc,cde->abde", x, layer.kernel.numpy()) + layer.bias.numpy()
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


def test_dots_on_the_left_keep_the_order_of_the_axes() -> None:
    """Where Keras's declared shape has the axes that the dots stand for reversed."""
    model = ranvier.Sequential(
        [ranvier.Input((2, 5, 3)), layers.EinsumDense("...x,xy->...y", 4)]
    )
    assert model.output_shape == (None, 2, 5, 4)
    assert model(np.ones((1, 2, 5, 3))).shape == (1, 2, 5, 4)


def test_free_sizes_are_padded_cut_and_enlarged() -> None:
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 1)).astype("float32")
    chain = [
        layers.ZeroPadding2D(((1, 2), (0, 3))),
        layers.UpSampling2D((2, 3), interpolation="bilinear"),
        layers.UpSampling2D(2),
        layers.Cropping2D(((1, 0), (2, 4))),
    ]
    fixed = ranvier.Sequential([ranvier.Input((3, 4, 1)), *chain])
    free = ranvier.Sequential([ranvier.Input((None, None, 1)), *chain])
    wanted = fixed(x).numpy()
    assert wanted.shape == (2, 6 * 4 - 1, 7 * 6 - 6, 1)
    np.testing.assert_allclose(free(x).numpy(), wanted, rtol=1e-6, atol=1e-6)


# ------------------------------------------------------------------- Lambda, wrappers


def doubled(x: Any) -> Any:
    """A function with a name."""
    return x * 2.0


def test_a_lambda_trains_and_copies_but_is_not_saved(tmp_path: Any) -> None:
    model = ranvier.Sequential(
        [
            ranvier.Input((3,)),
            layers.Dense(2),
            layers.Lambda(
                lambda x, scale: ops.square(x) * scale, arguments={"scale": 2}
            ),
        ]
    )
    model.compile("sgd", "mse")
    x = np.ones((4, 3), "float32")
    model.fit(x, np.zeros((4, 2)), verbose=0)
    copy = ranvier.models.clone_model(model)
    copy.set_weights(model.get_weights())
    np.testing.assert_array_equal(copy(x).numpy(), model(x).numpy())
    with pytest.raises(FileError, match="RV603"):
        model.save(tmp_path / "m.keras")
    assert not list(tmp_path.iterdir())


def test_a_named_function_is_saved_by_its_name(tmp_path: Any) -> None:
    model = ranvier.Sequential([ranvier.Input((3,)), layers.Lambda(doubled)])
    model.save(tmp_path / "m.keras")
    with pytest.raises(FileError, match="RV601"):
        ranvier.models.load_model(tmp_path / "m.keras")
    again = ranvier.models.load_model(
        tmp_path / "m.keras", custom_objects={"doubled": doubled}
    )
    assert again(np.ones((1, 3))).numpy().tolist() == [[2.0, 2.0, 2.0]]


@pytest.mark.parametrize("safe_mode", [True, False])
def test_code_in_a_configuration_is_never_run(safe_mode: bool) -> None:
    code = {
        "class_name": "__lambda__",
        "config": {"code": "4wAAAA==", "defaults": None},
    }
    with pytest.raises(FileError, match="RV601"):
        layers.Lambda.from_config({"name": "x", "function": code})
    described = {
        "module": "keras.layers",
        "class_name": "Lambda",
        "config": {"name": "x", "function": code},
    }
    with pytest.raises(FileError, match="RV601"):
        ranvier.saving.deserialize_keras_object(described, safe_mode=safe_mode)


def test_a_lambda_is_told_of_training_and_masks() -> None:
    seen = []

    def look(x: Any, mask: Any = None, training: Any = None) -> Any:
        seen.append((mask is not None, training))
        return x

    model = ranvier.Sequential(
        [ranvier.Input((3, 2)), layers.Masking(), layers.Lambda(look)]
    )
    seen.clear()
    model(np.ones((1, 3, 2)), training=True)
    assert seen == [(True, True)]


class Centred(layers.Layer):
    """A layer of a user's, whose rows depend on each other."""

    def call(self, x: Any) -> Any:
        """Less the mean of the rows."""
        self.add_loss(ops.sum(ops.square(x)))
        return x - ops.mean(x, axis=0, keepdims=True)


def test_steps_of_a_layer_of_ones_own_are_apart() -> None:
    x = np.random.default_rng(0).normal(size=(5, 3, 2)).astype("float32")
    layer = layers.TimeDistributed(Centred())
    found = layer(x).numpy()
    np.testing.assert_allclose(
        found, x - x.mean(0, keepdims=True), rtol=1e-5, atol=1e-6
    )
    assert len(layer.losses) == 1
    np.testing.assert_allclose(np.asarray(layer.losses[0]), (x**2).sum(), rtol=1e-5)


def test_a_mask_that_does_not_fit_is_refused() -> None:
    layer = layers.TimeDistributed(layers.Dense(2))
    with pytest.raises(ShapeError, match="RV103"):
        layer(np.ones((2, 3, 4), "f"), mask=np.ones((2, 4), bool))


def test_dropout_in_steps_draws_for_each_step() -> None:
    layer = layers.TimeDistributed(layers.Dropout(0.5, seed=1))
    found = layer(np.ones((4, 6, 50), "f"), training=True).numpy()
    kept = found > 0
    assert 0.4 < kept.mean() < 0.6
    assert all((kept[:, 0] != kept[:, t]).any() for t in range(1, 6))


# ----------------------------------------------------------------- noise, attention


@pytest.mark.parametrize(
    ("make", "mean", "deviation"),
    [
        (lambda: layers.GaussianNoise(0.5, seed=1), 1.0, 0.5),
        (lambda: layers.GaussianDropout(0.2, seed=1), 1.0, 0.5),
        (lambda: layers.AlphaDropout(0.3, seed=1), None, None),
    ],
)
def test_noise_has_the_moments_that_it_promises(
    make: Any, mean: Any, deviation: Any
) -> None:
    layer = make()
    if mean is None:  # what it keeps are mean 0 and variance 1
        x = np.random.default_rng(0).normal(size=(200, 500)).astype("float32")
        mean, deviation = 0.0, 1.0
    else:
        x = np.ones((200, 500), "float32")
    found = layer(x, training=True).numpy()
    assert abs(found.mean() - mean) < 0.02
    assert abs(found.std() - deviation) < 0.02
    again = layer(x, training=True).numpy()
    assert (again != found).mean() > 0.4
    np.testing.assert_array_equal(make()(x, training=True).numpy(), found)
    np.testing.assert_array_equal(layer(x).numpy(), x)


@pytest.mark.parametrize(
    ("make", "shape", "places"),
    [
        (lambda: layers.SpatialDropout1D(0.5, seed=1), (40, 6, 8), (1,)),
        (lambda: layers.SpatialDropout2D(0.5, seed=1), (40, 3, 2, 8), (1, 2)),
        (
            lambda: layers.SpatialDropout3D(0.5, "channels_first", seed=1),
            (40, 8, 3, 2, 2),
            (2, 3, 4),
        ),
    ],
)
def test_whole_channels_are_dropped(make: Any, shape: Any, places: Any) -> None:
    found = make()(np.ones(shape, "float32"), training=True).numpy()
    assert set(np.unique(found)) == {0.0, 2.0}
    np.testing.assert_array_equal(found.max(places), found.min(places))
    assert 0.3 < (found.max(places) == 0).mean() < 0.7


def test_rows_are_scaled_over_an_axis_in_the_middle() -> None:
    """Where Keras's RMSNormalization fails: the scale meets its own axis."""
    x = np.random.default_rng(0).normal(size=(2, 3, 4)).astype("float32")
    layer = layers.RMSNormalization(axis=1, epsilon=1e-3)
    layer.build((None, 3, 4))
    scale = np.array([0.5, 2.0, -1.0], "float32")
    layer.set_weights([scale])
    wanted = x / np.sqrt((x**2).mean(1, keepdims=True) + 1e-3) * scale[:, None]
    np.testing.assert_allclose(layer(x).numpy(), wanted, rtol=1e-5, atol=1e-6)


def test_a_row_of_zeros_has_a_gradient() -> None:
    def total(x: Any) -> Any:
        return ops.sum(layers.UnitNormalization()(x))

    from ranvier.graph.autodiff import grad

    assert np.isfinite(grad(total)(np.zeros((2, 3), "float32")).numpy()).all()


@pytest.mark.parametrize(
    "make",
    [
        lambda: layers.MultiHeadAttention(2, 3),
        lambda: layers.GroupQueryAttention(3, 4, 2),
    ],
)
def test_a_causal_head_does_not_see_what_comes(make: Any) -> None:
    x = np.random.default_rng(0).normal(size=(2, 6, 4)).astype("float32")
    layer = make()
    before = layer(x, x, use_causal_mask=True).numpy()
    later = x.copy()
    later[:, 4:] += 1.0
    after = layer(later, later, use_causal_mask=True).numpy()
    np.testing.assert_array_equal(after[:, :4], before[:, :4])
    assert (after[:, 4:] != before[:, 4:]).any()


def test_sequences_of_free_length() -> None:
    class Block(layers.Layer):
        """Causal attention of a sequence to itself."""

        def __init__(self) -> None:
            super().__init__()
            self.inner = layers.MultiHeadAttention(2, 3, sliding_window=3)

        def build(self, input_shape: Any) -> None:
            """The inner layer is built when it is called."""

        def call(self, x: Any) -> Any:
            """Attention."""
            return self.inner(x, x, use_causal_mask=True)

    free = ranvier.Sequential([ranvier.Input((None, 4)), Block()])
    fixed = ranvier.Sequential([ranvier.Input((7, 4)), Block()])
    fixed.set_weights(free.get_weights())
    x = np.random.default_rng(0).normal(size=(2, 7, 4)).astype("float32")
    np.testing.assert_allclose(
        free.predict(x, verbose=0), fixed.predict(x, verbose=0), rtol=1e-5, atol=1e-6
    )


def test_weights_of_heads_sum_to_one() -> None:
    x = np.random.default_rng(0).normal(size=(2, 6, 4)).astype("float32")
    y, weights = layers.MultiHeadAttention(2, 3)(x, x, return_attention_scores=True)
    assert y.shape == (2, 6, 4)
    assert weights.shape == (2, 2, 6, 6)
    np.testing.assert_allclose(weights.numpy().sum(-1), 1.0, rtol=1e-5)


def test_a_singular_value_of_one() -> None:
    layer = layers.SpectralNormalization(layers.Dense(5), power_iterations=100)
    found = layer(np.eye(4, dtype="float32"), training=True).numpy()
    assert abs(np.linalg.norm(found, 2) - 1) < 1e-4
