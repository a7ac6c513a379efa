"""Raw PyTorch: an eager loop over slices of a permutation, no DataLoader."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from torch import nn
from workloads import Workload

CALLS = 5000
ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "gelu": nn.GELU}


class TorchSide:
    """Plain tensors, `torch.optim.Adam`."""

    def info(self) -> dict[str, Any]:
        """Versions and threads."""
        return {
            "version": torch.__version__,
            "threads": torch.get_num_threads(),
            "isa": torch.backends.cpu.get_cpu_capability(),
        }

    def prepare(self, w: Workload, x: np.ndarray, y: np.ndarray) -> None:
        """Builds the module and its optimizer."""
        torch.manual_seed(0)
        self.w = w
        self.x = torch.from_numpy(x)
        # cross_entropy wants 64-bit labels; converting here keeps it out of the loop.
        self.y = torch.from_numpy(y.astype(np.int64) if w.loss == "sparse_ce" else y)
        layers: list[nn.Module] = []
        for fan_in, fan_out in zip(w.sizes, w.sizes[1:], strict=False):
            layers += [nn.Linear(fan_in, fan_out), ACTIVATIONS[w.activation]()]
        self.net = nn.Sequential(*layers[:-1])
        self.loss = nn.CrossEntropyLoss() if w.loss == "sparse_ce" else nn.MSELoss()
        # The fused Adam is the fastest of PyTorch's three on a CPU.
        self.adam = torch.optim.Adam(self.net.parameters(), lr=1e-3, fused=True)

    def run(self) -> float:
        """One epoch, or the median call of the module on one row."""
        if self.w.kind == "predict":
            return self._calls()
        net, adam, loss, x, y = self.net, self.adam, self.loss, self.x, self.y
        batch = self.w.batch
        start = time.perf_counter()
        order = torch.randperm(len(x))
        for i in range(0, len(x), batch):
            rows = order[i : i + batch]
            adam.zero_grad(set_to_none=True)
            loss(net(x[rows]), y[rows]).backward()
            adam.step()
        return time.perf_counter() - start

    def _calls(self) -> float:
        one, times = self.x[:1], []
        with torch.inference_mode():
            for _ in range(CALLS):
                start = time.perf_counter()
                self.net(one)
                times.append(time.perf_counter() - start)
        return float(np.median(times))

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Logits or values."""
        with torch.inference_mode():
            return self.net(torch.from_numpy(x)).numpy()


def make(_: str) -> TorchSide:
    """The side."""
    return TorchSide()
