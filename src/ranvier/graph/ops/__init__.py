"""Records of the primitive operations, by family. Importing it fills the registry."""

from ranvier.graph.ops import (  # noqa: F401
    contract,
    conv,
    elementwise,
    gather,
    movement,
    random,
    reduce,
    regions,
    window,
)
