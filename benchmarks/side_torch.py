"""Raw PyTorch: an eager loop over slices of a permutation, no DataLoader."""

from __future__ import annotations

import time
from typing import Any

import net_torch
import numpy as np
import torch
from timing import median_call
from torch import nn
from workloads import Workload


class TorchSide:
    """Plain tensors, `torch.optim.Adam`.

    Images are kept as the layout wants them, so that taking the rows of a batch is all
    that is done to them: channels first (NCHW), or channels last (NHWC in memory).
    """

    def __init__(self, channels_last: bool) -> None:
        self.channels_last = channels_last

    def info(self) -> dict[str, Any]:
        """Versions, threads and the layout."""
        return {
            "version": torch.__version__,
            "threads": torch.get_num_threads(),
            "isa": torch.backends.cpu.get_cpu_capability(),
            "images": "channels last" if self.channels_last else "NCHW",
        }

    def prepare(self, w: Workload, x: np.ndarray, y: np.ndarray) -> None:
        """Builds the module and its optimizer."""
        torch.manual_seed(0)
        self.w = w
        self.x = self.tensor(x)
        # cross_entropy wants 64-bit labels; converting here keeps it out of the loop.
        self.y = torch.from_numpy(y.astype(np.int64) if w.loss == "sparse_ce" else y)
        self.net = net_torch.build(w.network)
        if self.channels_last:
            self.net.to(memory_format=torch.channels_last)
        self.loss = nn.CrossEntropyLoss() if w.loss == "sparse_ce" else nn.MSELoss()
        if w.trains:
            # The fused Adam is the fastest of PyTorch's three on a CPU.
            self.adam = torch.optim.Adam(self.net.parameters(), lr=1e-3, fused=True)
        else:
            self.net.eval()

    def tensor(self, x: np.ndarray) -> torch.Tensor:
        """Rows as they are kept."""
        made = torch.from_numpy(x)
        if made.ndim == 4 and not self.channels_last:
            made = made.permute(0, 3, 1, 2).contiguous()
        return made

    def entry(self, rows: torch.Tensor) -> torch.Tensor:
        """Rows as the module takes them; moves nothing."""
        if rows.ndim == 4 and self.channels_last:
            return rows.permute(0, 3, 1, 2)
        return rows

    def parameters(self) -> int:
        """Trainable weights."""
        return net_torch.count(self.net)

    def run(self) -> float:
        """One epoch, or the median call of the module on one batch."""
        if self.w.kind == "predict":
            one = self.entry(self.x[: self.w.batch])
            with torch.inference_mode():
                return median_call(lambda: self.net(one))
        net, adam, loss, x, y = self.net, self.adam, self.loss, self.x, self.y
        batch, entry = self.w.batch, self.entry
        start = time.perf_counter()
        order = torch.randperm(len(x))
        for i in range(0, len(x), batch):
            rows = order[i : i + batch]
            adam.zero_grad(set_to_none=True)
            out, labels = net(entry(x[rows])), y[rows]
            if labels.ndim > 1 and out.ndim > 2:  # a label for every token
                out, labels = out.flatten(0, 1), labels.flatten()
            loss(out, labels).backward()
            adam.step()
        return time.perf_counter() - start

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Logits or values."""
        self.net.eval()
        with torch.inference_mode():
            out = self.net(self.entry(self.tensor(x))).numpy()
        self.net.train(self.w.trains)
        return out


def make(argument: str) -> TorchSide:
    """The side, with images as "nhwc" or not."""
    return TorchSide(argument == "nhwc")
