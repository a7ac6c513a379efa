"""Plans of reference models are what they were, or the change is shown and kept."""

from __future__ import annotations

import pytest
from goldens import plans


@pytest.mark.parametrize("name", sorted(plans.PLANS))
def test_the_plan_of_a_reference_model(name: str) -> None:
    kept = plans.FOLDER / f"{name}.txt"
    assert plans.text(name) == kept.read_text(), (
        "the plan has changed; if that is meant: python tests/goldens/plans.py"
    )


def test_no_text_is_left_over() -> None:
    assert {p.stem for p in plans.FOLDER.glob("*.txt")} == set(plans.PLANS)
