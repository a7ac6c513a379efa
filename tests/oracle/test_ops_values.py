"""Every operation that Keras has: shapes, dtypes, numbers and gradients are Keras's."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ops_cases import CALLS, Call

from ranvier import ops
from ranvier.graph.autodiff import grad
from ranvier.ops._catalogue import LEFT_OUT, ON_ARRAYS

IDS = [f"{call.name}-{i}" for i, call in enumerate(CALLS)]


def leaves(value: Any) -> list[Any]:
    if isinstance(value, (tuple, list)):
        return [leaf for part in value for leaf in leaves(part)]
    if hasattr(value, "_asdict"):
        return leaves(tuple(value))
    return [value]


def agree(call: Call, found: Any, wanted: Any) -> None:
    found, wanted = leaves(found), leaves(wanted)
    assert len(found) == len(wanted)
    for ours, theirs in zip(found, wanted, strict=True):
        if isinstance(theirs, (str, bool, int)):
            assert ours == theirs
            continue
        ours, theirs = np.asarray(ours), np.asarray(theirs)
        assert ours.shape == theirs.shape
        assert ours.dtype == theirs.dtype
        if theirs.dtype.kind == "f":
            np.testing.assert_allclose(ours, theirs, call.rtol, call.rtol)
        else:
            np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("call", CALLS, ids=IDS)
def test_numbers(keras: Any, call: Call) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = call.of(keras.ops)
        wanted = theirs(*_native(call.args), **_native(call.kwargs))
    agree(call, call.of(ops)(*call.args, **call.kwargs), wanted)


def _native(value: Any) -> Any:
    """Arrays as JAX's, which some of Keras's functions ask for."""
    import jax.numpy as jnp

    if isinstance(value, np.ndarray):
        return jnp.asarray(value)
    if isinstance(value, dict):
        return {k: _native(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)) and type(value) in (list, tuple):
        return type(value)(_native(v) for v in value)
    return value


def floats(value: Any) -> list[np.ndarray]:
    """The float arrays among arguments, in order."""
    if isinstance(value, np.ndarray):
        return [value] if value.dtype == np.float32 else []
    if isinstance(value, dict):
        return [a for v in value.values() for a in floats(v)]
    if isinstance(value, (list, tuple)):
        return [a for v in value for a in floats(v)]
    return []


def filled(value: Any, new: list[Any], other: Callable[[Any], Any]) -> Any:
    """The arguments with other arrays in place of the float ones."""
    if isinstance(value, np.ndarray):
        return new.pop(0) if value.dtype == np.float32 else other(value)
    if isinstance(value, dict):
        return {k: filled(v, new, other) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(filled(v, new, other) for v in value)
    return value


#: JAX has no gradient of products over places that may repeat.
NOT_IN_JAX = {"segment_prod"}
#: The last call of each function: its arguments are the least usual ones.
SMOOTH = {
    call.name: call
    for call in CALLS
    if call.smooth
    and floats([call.args, call.kwargs])
    and call.name not in {*NOT_IN_JAX, *ON_ARRAYS}
    and call.kwargs.get("reduction") != "mul"
}


@pytest.mark.parametrize("call", SMOOTH.values(), ids=SMOOTH)
def test_gradients(keras: Any, call: Call) -> None:
    """Of a weighted sum of all results, against `jax.grad` through Keras."""
    import jax
    import jax.numpy as jnp

    arrays = floats([call.args, call.kwargs])

    def total(module: Any, xp: Any, other: Any) -> Callable[[Any], Any]:
        def run(xs: Any) -> Any:
            args, kwargs = filled([call.args, call.kwargs], list(xs), other)
            results = leaves(call.of(module)(*args, **kwargs))
            parts = [xp.zeros(())]
            for r in results:
                if "float" in str(getattr(r, "dtype", "")):
                    count = int(np.prod(r.shape))
                    weights = np.cos(np.arange(count, dtype="float32") + 1)
                    parts.append(xp.sum(r * weights.reshape(tuple(r.shape))))
            return sum(parts[1:], parts[0])

        return run

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        given = [jnp.asarray(a) for a in arrays]
        wanted = jax.grad(total(keras.ops, jnp, jnp.asarray))(given)
    found = grad(total(ops, ops, lambda a: a))([ops.array(a) for a in arrays])
    for ours, theirs in zip(found, wanted, strict=True):
        theirs = np.asarray(theirs)
        scale = max(1.0, float(np.abs(theirs).max(initial=0.0)))
        np.testing.assert_allclose(
            ours.numpy() / scale,
            theirs / scale,
            rtol=10 * call.rtol,
            atol=3 * call.rtol,
        )


def test_every_function_of_keras_is_here_or_left_out(keras: Any) -> None:
    theirs = {name for name in dir(keras.ops) if not name.startswith("_")}
    here = {*ops.__all__, *ops.ACTIVATIONS, "image", "linalg", "nn", "numpy"}
    assert theirs - here == set(LEFT_OUT) & theirs
    assert not set(LEFT_OUT) & here


def test_every_function_of_keras_is_compared(keras: Any) -> None:
    """But control flow, which takes functions and has tests of its own."""
    control = {
        "associative_scan", "cond", "convert_to_numpy", "custom_gradient", "fori_loop",
        "jvp", "map", "scan", "switch", "vectorize", "vectorized_map", "while_loop",
    }  # fmt: skip
    #: Either has a result that is not one only, or no meaning but its shape.
    by_property = {"argpartition", "eigh", "empty", "empty_like"}
    theirs = {name for name in dir(keras.ops) if name in ops.__all__}
    theirs |= {f"image.{name}" for name in ops.image.__all__}
    assert theirs - {call.name for call in CALLS} == control | by_property
