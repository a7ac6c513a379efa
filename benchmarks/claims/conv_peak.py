"""GFLOP/s of stacks of convolutions that train, against the FMA peak beside them."""

from __future__ import annotations

import dataclasses
import statistics
from typing import Any

import net_parts as nets
from networks import Network

from claims._common import build, rows_for, seconds, tell
from claims.peak import Peaks


@dataclasses.dataclass(frozen=True)
class Stack:
    """Convolutions with a relu, all alike: channels in and out, side of the image."""

    channels: int
    side: int
    kernel: int = 3
    stride: int = 1
    padding: str = "same"
    batch: int = 32
    layers: int = 4

    @property
    def title(self) -> str:
        """What the table calls it."""
        square = f"{self.kernel}x{self.kernel}"
        stride = f", stride {self.stride}" if self.stride > 1 else ""
        image = f"{self.side}x{self.side}x{self.channels}"
        return f"{self.layers} of {square} {self.padding}{stride} on {image}"

    @property
    def network(self) -> Network:
        """With a small dense layer on the means, to have something to learn."""
        conv = nets.Conv(self.channels, self.kernel, self.stride, self.padding, "relu")
        parts = (*[conv] * self.layers, nets.GlobalAverage(), nets.Dense(10))
        return Network((self.side, self.side, self.channels), parts)

    @property
    def wanted(self) -> int:
        """Percent of the peak."""
        return 60 if self.channels >= 32 else 40


STACKS = (
    Stack(16, 32),
    Stack(16, 28, 5, batch=20),
    Stack(32, 32),
    Stack(32, 26, padding="valid", batch=50),
    Stack(32, 56, 3, 2, layers=3),
    Stack(48, 20, 5, batch=24),
    Stack(64, 16),
    Stack(64, 14, 1, batch=64),
    Stack(128, 14, batch=16),
    Stack(256, 7),
)
ROUNDS = 6
STEPS = 6


def main() -> None:
    """A round is the probe, an epoch and a `predict` of each stack."""
    jobs: list[tuple[Stack, Any, Any, Any, list[float], list[float]]] = []
    for stack in STACKS:
        network = stack.network
        x, y = rows_for(network, STEPS * stack.batch)
        jobs.append((stack, build(network), x, y, [], []))
    peaks = Peaks()
    for turn in range(ROUNDS + 1):
        peaks.measure()
        for stack, model, x, y, trained, predicted in jobs:
            size = {"batch_size": stack.batch, "verbose": 0}
            spent = seconds(lambda m=model, x=x, y=y, s=size: m.fit(x, y, **s))
            other = seconds(lambda m=model, x=x, s=size: m.predict(x, **s))
            if turn:  # the first traces and plans
                trained.append(spent)
                predicted.append(other)
    rows = []
    for stack, _, x, _, trained, predicted in jobs:
        work = stack.network.train_flops * len(x) / 1e9
        best = work / min(trained)
        forward = stack.network.forward_flops * len(x) / 1e9 / min(predicted)
        rows.append(
            {
                "stack": stack.title,
                "batch": stack.batch,
                "training GFLOP/s best": best,
                "median": work / statistics.median(trained),
                "predict GFLOP/s best": forward,
                **peaks.columns(best),
                "wanted %": stack.wanted,
            }
        )
    within = None
    if peaks.fma:
        within = all(r["% of peak, best"] >= r["wanted %"] for r in rows)
    tell(rows, within)


if __name__ == "__main__":
    main()
