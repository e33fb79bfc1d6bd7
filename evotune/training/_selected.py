"""One optimiser of several, picked for each member by a traced choice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax

from evotune import nn

_SHARED = {
    "count": "count",
    "mu": "first",
    "trace": "first",
    "nu": "second",
    "sum_of_squares": "second",
}
"""Fields of optax's states, and the part of the shared state that serves them."""

Moments = dict[str, Any]


def selected(
    choice: nn.Choice, options: Sequence[optax.GradientTransformation]
) -> optax.GradientTransformation:
    """The one of ``options`` that ``choice`` picks, on a state that all of them share.

    The state has at most two moments and a count, those that any option needs: each
    optimiser keeps its own meaning of them (Adam's mean or a momentum's sum are the
    first, Adagrad's sum of squares is the second). Every option runs as optax wrote it,
    on the state of the one that is picked, and its results are dropped unless it is the
    one; so they may be NaN. It is elementwise work on arrays that have been read
    anyway, which XLA fuses into one pass.

    Args:
        choice: Which of ``options``, in their order.
        options: Optimisers that keep the dtypes of their state.
    """

    def init(params: Any) -> Moments:
        found = [_read(option.init(params)) for option in options]
        template = {name: part for parts in found for name, part in parts.items()}
        zeros = jax.tree.map(jnp.zeros_like, template)
        return _select(choice, [{**zeros, **parts} for parts in found])

    def update(updates: Any, state: Moments, params: Any = None) -> tuple[Any, Moments]:
        results = []
        for option in options:
            own = _write(option.init(updates if params is None else params), state)
            stepped, own = option.update(updates, own, params)
            results.append((stepped, {**state, **_read(own)}))
        return _select(choice, results)

    return optax.GradientTransformation(init, update)


def _select(choice: nn.Choice, trees: Sequence[Any]) -> Any:
    return jax.tree.map(lambda *leaves: nn.select(choice, leaves), *trees)


def _read(state: Any) -> Moments:
    """The shared parts inside an optax state, which is a tree of tuples."""
    found: Moments = {}
    for name, part in _fields(state).items():
        found |= {_SHARED[name]: part} if name in _SHARED else _read(part)
    return found


def _write(state: Any, moments: Moments) -> Any:
    """An optax state with its shared parts taken from ``moments``."""
    fields = {
        name: moments[_SHARED[name]] if name in _SHARED else _write(part, moments)
        for name, part in _fields(state).items()
    }
    if hasattr(state, "_fields"):
        return type(state)(**fields)
    return tuple(fields.values()) if isinstance(state, tuple) else state


def _fields(state: Any) -> dict[str, Any]:
    """Parts of a tuple by name, or by position where they have none."""
    if hasattr(state, "_asdict"):
        return dict(state._asdict())
    if isinstance(state, tuple):
        return {str(index): part for index, part in enumerate(state)}
    return {}
