"""A whole program: import, build, fit 1,000 rows of 20 columns for one epoch, exit."""

import numpy as np

import ranvier as keras

rng = np.random.default_rng(0)
x = rng.standard_normal((1000, 20), dtype=np.float32)
y = x[:, :1] * x[:, 1:2]
model = keras.Sequential(
    [
        keras.Input((20,)),
        keras.layers.Dense(64, activation="relu"),
        keras.layers.Dense(64, activation="relu"),
        keras.layers.Dense(1),
    ]
)
model.compile(optimizer="adam", loss="mean_squared_error")
model.fit(x, y, batch_size=32, epochs=1, verbose=0)
