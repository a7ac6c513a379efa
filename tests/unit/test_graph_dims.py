"""Symbolic sizes: arithmetic, binding, matching with real shapes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ranvier.graph import Dim, bind, product
from ranvier.graph.dims import symbols, unify

B, T = Dim.symbol("batch"), Dim.symbol("time")


def test_arithmetic_is_exact_and_normal() -> None:
    assert B + 1 == 1 + B
    assert B - B == 0
    assert isinstance(B - B, int)
    assert 2 * B * T == T * B * 2
    assert (6 * B) // 3 == 2 * B
    assert (B * T) // B == T
    assert (B * T) // (B * T) == 1
    assert B % B == 0
    assert (4 * B) % 2 == 0
    assert hash(B + T) == hash(T + B)
    assert B != T
    assert B != 3
    assert 3 - B == -(B - 3)


def test_a_division_that_is_not_exact_waits_for_its_numbers() -> None:
    half = (B + 1) // 2
    assert [bind(half, {"batch": n}) for n in (1, 2, 3, 4)] == [1, 1, 2, 2]
    assert half == (B + 1) // 2
    assert bind(B % 4, {"batch": 10}) == 2
    assert bind(100 // B, {"batch": 7}) == 14
    assert symbols(half) == {"batch"}


def test_text_is_readable() -> None:
    assert repr(B) == "batch"
    assert repr(2 * B + 1) == "2*batch+1"
    assert repr(B - 1) == "batch-1"
    assert repr(B * T) == "batch*time"


def test_bind_goes_into_nests() -> None:
    sizes = {"batch": 3, "time": 5}
    nest = {"shape": (B, 4, [B * T]), "axis": 1, "value": 0.5}
    assert bind(nest, sizes) == {"shape": (3, 4, [15]), "axis": 1, "value": 0.5}


def test_product() -> None:
    assert product(()) == 1
    assert product((2, B, 3)) == 6 * B
    assert product((2, 3)) == 6


def test_unify_fills_and_checks() -> None:
    sizes: dict[str, int] = {}
    assert unify((B, 3), (7, 3), sizes)
    assert sizes == {"batch": 7}
    assert unify((T, B), (2, 7), sizes)
    assert not unify((B,), (8,), sizes)
    assert not unify((B, 3), (7, 4), sizes)
    assert not unify((B,), (7, 1), sizes)
    assert unify((2 * B,), (14,), sizes)


def _size(draw: Callable[..., Any], depth: int = 3) -> Any:
    if depth == 0 or draw(st.booleans()):
        return draw(st.sampled_from([B, T, 1, 2, 3, 5]))
    a, b = _size(draw, depth - 1), _size(draw, depth - 1)
    which = draw(st.integers(0, 3))
    if which == 3 and isinstance(b, int) and b > 0:
        return a // b
    return (a + b, a - b, a * b)[which % 3]


@given(st.data(), st.integers(1, 9), st.integers(1, 9))
def test_binding_commutes_with_arithmetic(data: st.DataObject, b: int, t: int) -> None:
    sizes = {"batch": b, "time": t}
    x, y = _size(data.draw), _size(data.draw)
    for op in (lambda p, q: p + q, lambda p, q: p - q, lambda p, q: p * q):
        assert bind(op(x, y), sizes) == op(bind(x, sizes), bind(y, sizes))
    for n in (1, 2, 7):
        assert bind(x // n, sizes) == bind(x, sizes) // n
        assert bind(x % n, sizes) == bind(x, sizes) % n
    real = bind(y, sizes)
    if real != 0:
        assert bind((x * y) // y if not isinstance(y, int) else x, sizes) == bind(
            x, sizes
        )


def test_a_size_is_no_number() -> None:
    with pytest.raises(TypeError):
        range(B)  # type: ignore[call-overload]
