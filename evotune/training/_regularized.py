"""Which weights are regularised."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from evotune._errors import HyperparameterError

Mask = Callable[[Any], Any]
"""Parameters -> the same tree of bools."""

Regularize = str | Callable[[str, Any], bool]
"""What `regularized` takes."""


def is_kernel(params: Any) -> Any:
    """True for arrays of two or more axes: kernels, not biases or scales."""
    return jax.tree.map(lambda leaf: jnp.ndim(leaf) >= 2, params)


def regularized(which: Regularize = "kernels") -> Mask:
    """The weights that weight decay, l1 and l2 act on, as `optax.masked` takes them.

    Args:
        which: "kernels" for arrays of two or more axes, "all" for every parameter; or
            a regular expression that is searched in the path of each, such as
            "hidden_0/kernel"; or a function (path, parameter) -> bool, which may look
            at the parameter's shape.

    Raises:
        HyperparameterError: If it is none of these; and, once it sees parameters, if
            none of them is chosen.

    Example:
        >>> params = {"embed": {"embedding": jnp.ones((5, 2))}, "bias": jnp.ones(2)}
        >>> regularized("kernels")(params)
        {'bias': False, 'embed': {'embedding': True}}
        >>> regularized("^bias$")(params)
        {'bias': True, 'embed': {'embedding': False}}
    """
    if isinstance(which, str) and which == "kernels":
        return is_kernel
    if isinstance(which, str) and which == "all":
        return lambda params: jax.tree.map(lambda _: True, params)
    chosen = _predicate(which)

    def mask(params: Any) -> Any:
        found = jax.tree_util.tree_map_with_path(
            lambda path, leaf: bool(chosen(_name(path), leaf)), params
        )
        if any(jax.tree.leaves(found)):
            return found
        leaves = jax.tree_util.tree_leaves_with_path(params)
        raise HyperparameterError(
            f"regularize must choose at least one parameter, but {which!r} chooses "
            f"none of {', '.join(_name(path) for path, _ in leaves)}. "
            "Use `regularize='kernels'`."
        )

    return mask


def _predicate(which: Regularize) -> Callable[[str, Any], bool]:
    if not isinstance(which, str):
        if callable(which):
            return which
        raise HyperparameterError(
            "regularize must be 'kernels', 'all', a regular expression or a function "
            f"(path, parameter) -> bool, but got {which!r}. Use `regularize='kernels'`."
        )
    try:
        pattern = re.compile(which)
    except re.error as error:
        raise HyperparameterError(
            f"regularize must be 'kernels', 'all' or a regular expression, but "
            f"{which!r} is none: {error}. Use `regularize='kernel$'`."
        ) from error
    return lambda path, _: pattern.search(path) is not None


def _name(path: Any) -> str:
    """Such as "block_0/up/kernel"."""
    return jax.tree_util.keystr(path, simple=True, separator="/")
