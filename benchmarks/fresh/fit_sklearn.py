"""A whole program: import, build, fit 1,000 rows of 20 columns for one epoch, exit."""

import warnings

import numpy as np
from sklearn.neural_network import MLPRegressor

warnings.simplefilter("ignore")  # one epoch is meant; it need not converge
rng = np.random.default_rng(0)
x = rng.standard_normal((1000, 20), dtype=np.float32)
y = x[:, 0] * x[:, 1]
MLPRegressor(hidden_layer_sizes=(64, 64), alpha=0.0, batch_size=32, max_iter=1).fit(
    x, y
)
