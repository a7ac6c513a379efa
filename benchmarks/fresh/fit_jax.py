"""A whole program: import, build, fit 1,000 rows of 20 columns for one epoch, exit."""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))
import side_jax
import workloads

rng = np.random.default_rng(0)
x = rng.standard_normal((1000, 20), dtype=np.float32)
side = side_jax.make("")
side.prepare(workloads.find("fresh"), x, x[:, :1] * x[:, 1:2])
side.run()
