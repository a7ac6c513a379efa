"""One thread against two on networks that have enough to compute."""

from __future__ import annotations

from claims.threads import measure

NAMES = ("convnet-b32", "convnet-b128", "residual", "separable", "transformer")


def main() -> None:
    """A session of its own, with a higher bound than the dense rows have."""
    measure(NAMES, 1.6)


if __name__ == "__main__":
    main()
