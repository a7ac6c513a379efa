"""The JAX engine: the same graph, run by XLA. It needs ``pip install 'ranvier[jax]'``.

It is there to compare with, and for what the native engine is not built for; it gives
the same numbers up to rounding, not the same bits.
"""

from __future__ import annotations

from ranvier.errors import EnvironmentFault

_FIX = "pip install 'ranvier[jax]'"

try:
    import jax as _jax
except ImportError as _fault:
    raise EnvironmentFault(
        "RV801",
        "engine='jax' needs JAX, which cannot be imported",
        details=str(_fault),
        fix=_FIX,
    ) from None
if not hasattr(_jax, "enable_x64"):
    raise EnvironmentFault(
        "RV801",
        f"engine='jax' needs a newer JAX than {_jax.__version__}",
        fix=_FIX,
    )

from ranvier.engines.jax.engine import ENGINE, JaxEngine, JaxExecutable  # noqa: E402

__all__ = ["ENGINE", "JaxEngine", "JaxExecutable"]
