"""Data frames: names of columns are kept, checked and handed on."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.utils.estimator_checks import check_dataframe_column_names_consistency

from ranvier.sklearn import RanvierClassifier, RanvierRegressor

pd = pytest.importorskip("pandas")
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.mark.parametrize("kind", [RanvierClassifier, RanvierRegressor])
def test_names_of_columns_are_checked(kind: type) -> None:
    check_dataframe_column_names_consistency(kind.__name__, kind(max_iter=3))


def test_frames_and_series_are_arrays() -> None:
    x, y = load_iris(return_X_y=True, as_frame=True)
    labels = pd.Series(np.array(["a", "b", "c"])[y], name="species")
    framed = RanvierClassifier(max_iter=3, random_state=0).fit(x, labels)
    plain = RanvierClassifier(max_iter=3, random_state=0)
    plain.fit(x.to_numpy(), labels.to_numpy())
    assert list(framed.feature_names_in_) == list(x.columns)
    np.testing.assert_array_equal(framed.predict(x), plain.predict(x.to_numpy()))
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        framed.predict(x.to_numpy())
    with pytest.raises(ValueError, match="feature names"):
        framed.predict(x[x.columns[::-1]])
    weighted = RanvierClassifier(max_iter=3, random_state=0)
    weighted.fit(x, labels, sample_weight=pd.Series(np.ones(len(x))))
    np.testing.assert_allclose(weighted.loss_curve_, framed.loss_curve_, rtol=1e-6)
