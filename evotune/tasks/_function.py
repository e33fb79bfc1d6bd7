"""A plain function to optimise, without training."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp

from evotune._errors import HyperparameterError
from evotune._signatures import call_by_name
from evotune.tasks._hyperparameters import Hyperparameters
from evotune.tasks._task import Task

Direction = Literal["maximize", "minimize"]


class Function(Task):
    """Evaluates ``fn(hp, key)``, which JAX can trace, for a whole population at once.

    Args:
        fn: Maps hyperparameters (by attribute) and the trial's own key (may be left
            out) to a scalar; with ``directions``, to several. For functions that JAX
            cannot trace, use `Study.ask` and `Study.tell`.
        direction: "minimize" or "maximize".
        directions: Of several objectives, in place of ``direction``: one for each of
            the scalars in the tuple that ``fn`` returns, called "value_0" and so on;
            or a mapping by name, where ``fn`` returns a dict.
        constraints: Names of what else is in that dict and must be at most 0; or the
            largest value of each, by name.

    Raises:
        HyperparameterError: If a direction is neither, or the function returns
            something else.

    Example:
        >>> import evotune as et
        >>> task = et.tasks.Function(lambda hp: (hp.x - 1.0) ** 2 + hp.y**2)
        >>> two = et.tasks.Function(
        ...     lambda hp: {"error": (hp.x - 1.0) ** 2, "size": hp.x},
        ...     directions={"error": "minimize", "size": "minimize"},
        ... )
    """

    steps_per_epoch = 0

    def __init__(
        self,
        fn: Callable[..., Any],
        *,
        direction: Direction = "minimize",
        directions: Sequence[Direction] | Mapping[str, Direction] | None = None,
        constraints: Iterable[str] | Mapping[str, float] = (),
    ):
        """See the class."""
        self.fn = fn
        self._named = isinstance(directions, Mapping)
        found = _by_name(direction, directions)
        self.metric, self.direction = next(iter(found.items()))
        self.objectives = {} if directions is None else found
        self.constraints = _bounds(constraints, named=self._named)

    def init(self, hp: Hyperparameters, key: jax.Array) -> Any:
        """f32[]: the value of the function; of several objectives a dict of them."""
        result = call_by_name(self.fn, hp=hp, key=key)
        if not self.objectives:
            return _scalar(result)
        if self._named:
            return self._checked_dict(result)
        listed = list(result) if isinstance(result, Sequence) else [result]
        if len(listed) != len(self.objectives) or isinstance(result, str):
            raise HyperparameterError(
                f"The function must return a tuple of {len(self.objectives)} scalars, "
                f"one for each of `directions`, but returns {_words(result)}. For a "
                "dict, give directions by name: `directions={'error': 'minimize', "
                "...}`."
            )
        return dict(zip(self.objectives, map(_scalar, listed), strict=True))

    def _checked_dict(self, result: Any) -> dict[str, jax.Array]:
        wanted = {*self.objectives, *self.constraints}
        if not isinstance(result, Mapping) or not wanted <= result.keys():
            raise HyperparameterError(
                f"The function must return a dict with {', '.join(sorted(wanted))}, "
                f"but returns {_words(result)}. Name what it returns: "
                f"`return {{{next(iter(wanted))!r}: ..., ...}}`."
            )
        return {str(name): _scalar(value) for name, value in result.items()}

    def step(self, state: Any) -> Any:
        """There is nothing to train."""
        return state

    def evaluate(self, state: Any) -> dict[str, jax.Array]:
        """{"value": f32[]}; of several objectives what the function returned."""
        return state if self.objectives else {"value": state}


def _scalar(result: Any) -> jax.Array:
    value = jnp.asarray(result)
    if value.shape:
        raise HyperparameterError(
            f"The function must return a scalar, but returns shape {value.shape}. "
            "Reduce it, for instance with `jnp.sum`."
        )
    return value.astype(jnp.float32)


def _by_name(
    direction: Any, directions: Sequence[Any] | Mapping[str, Any] | None
) -> dict[str, Any]:
    """The direction of each objective by name."""
    if directions is None:
        found = {"value": direction}
    elif isinstance(directions, Mapping):
        found = dict(directions)
    else:
        found = {f"value_{index}": each for index, each in enumerate(directions)}
    if not found:
        raise HyperparameterError(
            f"directions must have one for each objective, but got {directions!r}. Use "
            "`Function(fn, direction='minimize')` for one objective."
        )
    for each in found.values():
        if each not in ("maximize", "minimize"):
            raise HyperparameterError(
                f"direction must be 'maximize' or 'minimize', but got {each!r}. Use "
                "`Function(fn, direction='minimize')`, or `Function(fn, "
                "directions=('minimize', 'maximize'))` of several objectives."
            )
    return found


def _bounds(
    constraints: Iterable[str] | Mapping[str, float], *, named: bool
) -> dict[str, float]:
    """What must not be exceeded, by name."""
    if isinstance(constraints, str):
        constraints = [constraints]
    if isinstance(constraints, Mapping):
        bounds = {name: float(bound) for name, bound in constraints.items()}
    else:
        bounds = dict.fromkeys(constraints, 0.0)
    if bounds and not named:
        raise HyperparameterError(
            f"constraints name entries of the dict that the function returns, but got "
            f"{list(bounds)} without directions by name. Use `directions={{'error': "
            "'minimize', 'size': 'minimize'}`."
        )
    return bounds


def _words(result: Any) -> str:
    """What a function returned, in short."""
    if isinstance(result, Mapping):
        return f"a dict with {', '.join(map(str, result)) or 'nothing'}"
    if isinstance(result, Sequence) and not isinstance(result, str):
        return f"{len(result)} values"
    return f"one {type(result).__name__}"
