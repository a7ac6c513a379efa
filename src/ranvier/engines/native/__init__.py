"""The native engine: plans made in Python, run in C++."""

from ranvier.engines.native.engine import ENGINE, NativeEngine

__all__ = ["ENGINE", "NativeEngine"]
