"""Every public name of Keras is here, or listed with the reason why it is not."""

from __future__ import annotations

import importlib.util
import inspect
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "compatibility.py"
MEND = "run: python scripts/compatibility.py"


@pytest.fixture(scope="module", name="lists")
def fixture_lists() -> Any:
    spec = importlib.util.spec_from_file_location("compatibility", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up by name.
    importlib.sys.modules["compatibility"] = module  # type: ignore[attr-defined]
    spec.loader.exec_module(module)
    return module


def test_the_names_are_those_of_real_keras(keras: Any, lists: Any) -> None:
    version, names = lists.read_names()
    assert version == keras.__version__, f"{MEND} --names"
    assert tuple(names) == lists.MODULES
    for module, known in names.items():
        assert known == lists.public_names(keras, module), f"{module}: {MEND} --names"


def test_every_name_is_here_or_has_a_reason(lists: Any) -> None:
    for module, standing in lists.standings().items():
        assert not standing.unexplained, (
            f"keras.{module}: neither here nor in {lists.ABSENT.name} with a reason"
        )


def test_reasons_are_about_names_of_keras(lists: Any) -> None:
    _, names = lists.read_names()
    seen = set()
    for rule in lists.read_rules():
        assert rule.kind in ("out", "later")
        assert len(rule.reason) > 5
        for name in rule.names:
            assert name in names[rule.module], f"{rule.module}.{name} is not Keras's"
            assert (rule.module, name) not in seen, f"{rule.module}.{name} twice"
            seen.add((rule.module, name))


def test_page_and_lists_are_fresh(lists: Any) -> None:
    assert lists.ABSENT.read_text() == lists.rules_text(lists.read_rules()), MEND
    assert lists.PAGE.read_text() == lists.page(), MEND


def test_a_new_name_of_keras_is_noticed(lists: Any, monkeypatch: Any) -> None:
    version, names = lists.read_names()
    names["ops"] = [*names["ops"], "brand_new"]
    monkeypatch.setattr(lists, "read_names", lambda: (version, names))
    assert lists.standings()["ops"].unexplained == ["brand_new"]


#: Where a signature is not Keras's, and why.
DIFFERENT = {
    "keras.Input": "the shape comes first, the rest is for keywords",
    "keras.Variable": "a value is enough; what may be trained follows from its kind",
    "layers.Input": "the shape comes first, the rest is for keywords",
    "saving.save_weights": "a file is written whole: there are no shards",
    "utils.plot_model": "it draws SVG, so the file is model.svg",
}


def alike(mine: Any, theirs: Any) -> bool:
    """Whether two defaults mean the same; one number stands for all axes."""
    if isinstance(theirs, tuple) and not isinstance(mine, tuple):
        return all(alike(mine, part) for part in theirs)
    return repr(mine) == repr(theirs)


def differences(theirs: Any, ours: Any) -> list[str]:
    """What a call written for Keras would stumble over."""
    try:
        wanted = inspect.signature(theirs).parameters
        found = inspect.signature(ours).parameters
    except (TypeError, ValueError):
        return []
    takes_all = any(p.kind is p.VAR_KEYWORD for p in found.values())
    told, places = [], []
    for name, parameter in wanted.items():
        if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
            continue
        if name not in found:
            told += [] if takes_all else [f"no {name}"]
            continue
        if parameter.kind is parameter.POSITIONAL_OR_KEYWORD:
            places.append(name)
        if not alike(found[name].default, parameter.default):
            told.append(f"{name}={found[name].default!r}, not {parameter.default!r}")
    own = [name for name in found if name in places]
    return told + ([] if own == places else [f"order {own}, not {places}"])


def test_calls_written_for_keras_fit(keras: Any, lists: Any) -> None:
    odd: dict[str, list[str]] = {}
    for module, standing in lists.standings().items():
        if not standing.here:
            continue
        package = keras
        for part in () if module == "keras" else module.split("."):
            package = getattr(package, part)
        mine = importlib.import_module(
            "ranvier" if module == "keras" else f"ranvier.{module}"
        )
        for name in standing.here:
            found = differences(getattr(package, name), getattr(mine, name))
            if found:
                odd[f"{module}.{name}"] = found
    assert {name: odd[name] for name in odd if name not in DIFFERENT} == {}
    assert sorted(DIFFERENT) == sorted(odd)
