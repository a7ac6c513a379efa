"""Fashion-MNIST for the commands: all of it, or the sample when it is not to be had."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from ranvier.cli.output import Output
from ranvier.datasets import fashion_mnist
from ranvier.errors import EnvironmentFault, Finding

__all__ = ["Data", "load"]


@dataclass(frozen=True)
class Data:
    """Images and labels, and where they came from."""

    x_train: npt.NDArray[Any]
    y_train: npt.NDArray[Any]
    x_test: npt.NDArray[Any]
    y_test: npt.NDArray[Any]
    source: str
    sample: bool

    def checksum(self) -> str:
        """CRC-32 of all arrays in hexadecimal: tells data sets apart, not forgeries."""
        value = 0
        for array in (self.x_train, self.y_train, self.x_test, self.y_test):
            value = zlib.crc32(array.reshape(-1).view("uint8").data, value)
        return f"crc32:{value:08x}"


def load(output: Output, *, sample: bool = False) -> Data:
    """Loads the data set; falls back to the sample and says so.

    Args:
        output: where the finding RV403 is told.
        sample: take the sample at once.
    """
    if not sample:
        try:
            train, test = fashion_mnist.load_data()
        except EnvironmentFault as fault:
            if fault.code != "RV802":
                raise
            output.finding(
                Finding(
                    "RV403",
                    "training on the sample inside the package: 5,000 of 60,000 images",
                    details=f"the whole of Fashion-MNIST is not on this machine and "
                    f"{fault.message}",
                    fix=fashion_mnist.REMEDY,
                )
            )
        else:
            source = str(fashion_mnist.find())
            return Data(*train, *test, source=source, sample=False)
    train, test = fashion_mnist.load_sample()
    return Data(*train, *test, source="the sample inside ranvier", sample=True)
