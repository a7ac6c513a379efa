"""Masks between layers: which steps of a sequence count, carried along by tensors.

A mask is a boolean tensor of the leading axes of the tensor that carries it, under
``_keras_mask``. A layer whose `call` takes ``mask`` is given that of its only tensor
argument; with several tensor arguments, ``query_mask`` is that of ``query``. What a layer
that `supports_masking` returns carries what its `compute_mask` says. Losses and metrics
read the mask of the predictions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ranvier.errors import Finding, warn
from ranvier.graph import Tensor, tree


def mask_of(value: Any) -> Any:
    """The mask that a tensor carries, or ``None``."""
    return getattr(value, "_keras_mask", None)


def set_mask(tensor: Tensor, mask: Any) -> None:
    """Makes a tensor carry a mask; ``None`` takes it away."""
    tensor._keras_mask = mask


def masked(tensor: Tensor, mask: Any) -> Tensor:
    """The same tensor as another object, which carries this mask."""
    found = tensor.alias()
    set_mask(found, mask)
    return found


def masks_of(value: Any) -> Any:
    """The masks of a structure of tensors, in the same structure."""
    return tree.map_leaves(mask_of, value)


def leaves_with_none(value: Any) -> list[Any]:
    """Leaves of a structure of masks, in which ``None`` is a leaf too."""
    if isinstance(value, (list, tuple)):
        return [leaf for part in value for leaf in leaves_with_none(part)]
    if isinstance(value, Mapping):
        return [leaf for key in sorted(value) for leaf in leaves_with_none(value[key])]
    return [value]


def _holds_tensors(value: Any) -> bool:
    """Whether an argument is a tensor, or a structure of nothing else."""
    if isinstance(value, Tensor):
        return True
    if not isinstance(value, (list, tuple, dict)):
        return False
    leaves = tree.flatten(value)
    return bool(leaves) and all(isinstance(leaf, Tensor) for leaf in leaves)


def hand_in(
    parameters: Sequence[str], args: Sequence[Any], kwargs: dict[str, Any]
) -> Any:
    """Fills in the mask arguments of a call that were not given.

    Args:
        parameters: names of `call`'s parameters, without ``self``.
        args: arguments by position.
        kwargs: arguments by name; masks are put in here.

    Returns:
        The mask that `compute_mask` hears of: that given as ``mask``, else that of the
        first argument.
    """
    given = dict(zip(parameters, args, strict=False)) | kwargs
    if any(p == "mask" or p.endswith("_mask") for p in parameters):
        tensors = {k: v for k, v in given.items() if _holds_tensors(v)}
        if len(tensors) == 1:
            if "mask" in parameters and given.get("mask") is None:
                kwargs["mask"] = masks_of(next(iter(tensors.values())))
        else:
            for name, value in tensors.items():
                own = f"{name}_mask"
                if own in parameters and given.get(own) is None:
                    kwargs[own] = masks_of(value)
    explicit = kwargs.get("mask", given.get("mask"))
    if explicit is not None:
        return explicit
    return masks_of(args[0] if args else given.get(parameters[0]))


def hand_out(layer: Any, first: Any, outputs: Any, previous: Any) -> Any:
    """The outputs of a layer, with the masks that it computes.

    Args:
        layer: the layer.
        first: its first argument.
        outputs: what its `call` returned.
        previous: what `hand_in` returned.
    """
    some = any(m is not None for m in leaves_with_none(previous))
    if not layer.supports_masking:
        kept = all(mask_of(o) is not None for o in tree.flatten(outputs))
        if some and not kept and "mask" not in layer._call_parameters:
            _tell_lost(layer)
        return outputs
    if not some and layer._passes_masks:
        return outputs
    leaves = tree.flatten(outputs)
    if all(mask_of(leaf) is not None for leaf in leaves):
        return outputs
    masks = layer.compute_mask(first, previous)
    if masks is None:
        return outputs
    found = leaves_with_none(masks)
    given = {id(leaf) for leaf in tree.flatten(first)}
    for i, (leaf, mask) in enumerate(zip(leaves, found, strict=False)):
        if mask is None or mask_of(leaf) is not None or not isinstance(leaf, Tensor):
            continue
        if id(leaf) in given:  # the caller's own tensor stays as it is
            leaves[i] = masked(leaf, mask)
        else:
            set_mask(leaf, mask)
    return tree.rebuild(outputs, leaves)


_told: set[str] = set()


def _tell_lost(layer: Any) -> None:
    kind = type(layer).__name__
    if kind in _told:
        return
    _told.add(kind)
    warn(
        Finding(
            "RV405",
            f"the mask of its input ends at layer {layer.name!r} ({kind})",
            fix="supports_masking = True in a layer that passes masks on, or a "
            "compute_mask(inputs, previous_mask) of its own",
        )
    )
