"""Estimators for scikit-learn: where `MLPClassifier` stood, `RanvierClassifier` stands.

Parameters, attributes, formulas and defaults are those of scikit-learn's multi-layer
perceptrons; what trains is ranvier's engine. Needs the extra ``[sklearn]``.

Example:
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from ranvier.sklearn import RanvierClassifier
    >>> x, y = load_iris(return_X_y=True)
    >>> network = RanvierClassifier(learning_rate_init=0.01, random_state=0)
    >>> pipeline = make_pipeline(StandardScaler(), network).fit(x, y)
    >>> bool(pipeline.score(x, y) > 0.9)
    True
"""

from __future__ import annotations

from ranvier.errors import EnvironmentFault

try:
    # Names that came with 1.6; a folder called "sklearn" on the path has none of them.
    from sklearn.utils import Tags as _Tags  # noqa: F401
    from sklearn.utils.validation import validate_data as _validate  # noqa: F401
except ImportError as fault:
    raise EnvironmentFault(
        "RV801",
        "ranvier.sklearn needs scikit-learn, 1.6 or newer",
        details=str(fault),
        fix="pip install 'ranvier[sklearn]'",
    ) from fault

from ranvier.sklearn.classifier import RanvierClassifier
from ranvier.sklearn.regressor import RanvierRegressor

__all__ = ["RanvierClassifier", "RanvierRegressor"]
