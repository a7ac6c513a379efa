"""The reference engine: NumPy, operation by operation. It is the definition."""

from ranvier.engines.reference.engine import ENGINE, ReferenceEngine

__all__ = ["ENGINE", "ReferenceEngine"]
