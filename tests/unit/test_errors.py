"""Codes, messages, findings and declared parameters."""

from __future__ import annotations

import pickle
import re
import warnings
from pathlib import Path

import pytest

import ranvier
from ranvier import _check, config, errors
from ranvier._codes import CODES

SOURCES = Path(ranvier.__file__).parent


def test_every_code_in_the_sources_is_explained() -> None:
    used = set()
    for path in SOURCES.rglob("*.py"):
        if path.name != "_codes.py":
            used |= set(re.findall(r"\bRV\d{3}\b", path.read_text()))
    used -= {"RV999"}
    assert used <= set(CODES), sorted(used - set(CODES))


def test_every_code_can_be_explained() -> None:
    for code, (title, text) in CODES.items():
        assert re.fullmatch(r"RV[1-9]\d\d", code)
        assert errors.explain(code).startswith(f"{code}: {title}")
        assert len(text) > 40
        assert "  " not in text


def test_the_text_of_an_error() -> None:
    fault = errors.ShapeError(
        "RV101", "do not fit", details="one\ntwo", fix="do this", place="train.py:14"
    )
    assert str(fault) == (
        "error[RV101]: do not fit\n"
        "  one\n"
        "  two\n"
        "  at train.py:14\n"
        "  fix: do this\n"
        "  more: ranvier explain RV101"
    )
    assert "train.py" not in fault.format(place=False)
    assert fault.help.startswith("RV101: ")


def test_an_error_names_the_users_line() -> None:
    fault = errors.DataError("RV203", "text")  # the users line
    assert "test_errors.py" in fault.place
    assert fault.place.endswith("# the users line")


def test_errors_are_value_errors_and_survive_pickling() -> None:
    kinds = [
        errors.ShapeError,
        errors.DataError,
        errors.NumericsError,
        errors.FileError,
        errors.ResumeError,
        errors.EnvironmentFault,
        errors.InternalError,
    ]
    for kind in kinds:
        fault = kind("RV100", "message", details="d", fix="f", place="p")
        again = pickle.loads(pickle.dumps(fault))
        assert type(again) is kind
        assert isinstance(again, ValueError)
        assert again.as_dict() == fault.as_dict()


def test_a_finding_is_a_warning_at_the_users_line() -> None:
    finding = errors.Finding("RV102", "softmax over one unit", fix="sigmoid")
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        errors.warn(finding)
    assert [w.category for w in seen] == [errors.RanvierWarning]
    assert Path(seen[0].filename).name == "test_errors.py"
    assert seen[0].message.finding == finding  # type: ignore[union-attr]
    assert str(seen[0].message).startswith("finding[RV102]: softmax over one unit")


def test_nearest() -> None:
    names = ["categorical_crossentropy", "mse", "MeanSquaredError"]
    found = errors.nearest("categorial_crossentropy", names)
    assert found == "'categorical_crossentropy'"
    assert errors.nearest("meansquarederror", names) == "'MeanSquaredError'"
    assert errors.nearest("zzzz", names) == ""
    assert errors.nearest("adm", ["Adam", "adam"]) == "'adam'"
    assert errors.nearest("Adm", ["Adam", "adam"]) == "'Adam'"


def test_unknown_name() -> None:
    fault = errors.unknown_name("loss", "msee", ["mse", "mae"])
    assert fault.code == "RV107"
    assert fault.message == "unknown loss 'msee'; nearest: 'mse'"
    assert "known: mae, mse" in str(fault)


CONSTRAINTS = [
    (_check.Interval(int, 1), [1, 5]),
    (_check.Interval(float, 0, 1, "left"), [0, 0.5]),
    (_check.Interval(float), [0, -1e9]),
    (_check.OneOf("a", "b", None), ["a", None]),
    (_check.InstanceOf(str), ["a"]),
    (_check.InstanceOf(bool), [True]),
    (_check.ShapeLike(), [(28, 28), [None, 3], ()]),
    (_check.ShapeLike(allow_none=False, minimum=1), [(1,)]),
    (_check.Optional(_check.Interval(int, 0)), [None, 0]),
]


@pytest.mark.parametrize(("constraint", "good"), CONSTRAINTS)
def test_constraints(constraint: _check.Constraint, good: list[object]) -> None:
    for value in good:
        _check.check_parameters("Layer", {"p": constraint}, {"p": value})
    assert constraint.bad_values()
    for value in constraint.bad_values():
        with pytest.raises(errors.ShapeError, match="Layer: p must be") as caught:
            _check.check_parameters("Layer", {"p": constraint}, {"p": value})
        assert caught.value.code == "RV100"


def test_an_unknown_parameter_names_the_nearest() -> None:
    table = {"units": _check.Interval(int, 1)}
    with pytest.raises(errors.ShapeError, match="nearest: 'units'"):
        _check.check_parameters("Dense", table, {"unit": 3})


def test_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, variable in config.VARIABLES.items():
        monkeypatch.delenv(name, raising=False)
        assert config.get(name) == variable.default
    monkeypatch.setenv("RANVIER_THREADS", "3")
    assert config.get("THREADS") == 3
    monkeypatch.setenv("RANVIER_ISA", "AVX2")
    assert config.get("RANVIER_ISA") == "avx2"


@pytest.mark.parametrize(
    ("name", "text", "fix"),
    [
        ("RANVIER_ISA", "avx521", "export RANVIER_ISA=avx512"),
        ("RANVIER_THREADS", "many", "export RANVIER_THREADS=0"),
        ("RANVIER_THREADS", "-1", "export RANVIER_THREADS=0"),
        ("RANVIER_OFFLINE", "maybe", "export RANVIER_OFFLINE=1"),
    ],
)
def test_bad_variables(
    name: str, text: str, fix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, text)
    with pytest.raises(errors.EnvironmentFault) as caught:
        config.get(name)
    assert caught.value.code == "RV803"
    assert caught.value.fix == fix


def test_keras_settings() -> None:
    assert config.floatx() == "float32"
    assert config.epsilon() == 1e-7
    assert config.image_data_format() == "channels_last"
    with pytest.raises(errors.ShapeError, match="float16"):
        config.set_floatx("float16")
    with pytest.raises(errors.ShapeError):
        config.set_image_data_format("channels")
    try:
        config.set_epsilon(1e-5)
        assert config.epsilon() == 1e-5
    finally:
        config.set_epsilon(1e-7)
