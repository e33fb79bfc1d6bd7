"""A strategy of evosax on plain arrays: made for a space, begun, asked and told."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import warnings
from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Any

import evosax.algorithms as known
import jax
import jax.numpy as jnp

from evotune._errors import nearest

Make = Callable[..., Any]
"""``(population_size=, solution=, **settings) -> strategy``: a class, or a function."""

_GIVEN = ("self", "population_size", "solution")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Strategy:
    """One of evosax's strategies, for points of D dimensions.

    A state is what evosax says it is, but every number in it keeps its type, and one
    that would become NaN or infinite stays as it was.

    Attributes:
        made: evosax's own object.
        defaults: Gives evosax's default parameters.
        changes: What differs from them.
        starts: What it begins with: "population" with its fitness, "mean", or "means".
    """

    made: Any
    defaults: Callable[[], Any]
    changes: tuple[tuple[str, Any], ...]
    starts: str

    @property
    def _params(self) -> Any:
        return dataclasses.replace(self.defaults(), **dict(self.changes))

    @property
    def keeps_points(self) -> bool:
        """Whether it lives on the points that it was told, not on a distribution."""
        return self.starts == "population"

    def begun(self, key: jax.Array, points: jax.Array, loss: jax.Array) -> Any:
        """Its state at the start.

        Args:
            key: Consumed.
            points: f32[P, D], the first population of a strategy that keeps points, or
                a row for each of the means that it begins with.
            loss: f32[P], smaller is better; only a strategy that keeps points reads it.
        """
        with as_evosax_has_it():
            if self.keeps_points:
                state = self.made.init(key, points, loss, self._params)
            elif self.starts == "means":
                means = points[: self.made.num_populations]
                state = self.made.init(key, means, self._params)
            else:
                state = self.made.init(key, points[0], self._params)
            return jax.tree.map(_known, state)

    def asked(self, key: jax.Array, state: Any) -> tuple[jax.Array, Any]:
        """f32[P, D] points, and the state that knows that it was asked.

        Args:
            key: Consumed.
            state: Only read.
        """
        with as_evosax_has_it():
            points, state = self.made.ask(key, state, self._params)
            return points.astype(jnp.float32), state

    def told(
        self, key: jax.Array, points: jax.Array, loss: jax.Array, asked: Any, state: Any
    ) -> Any:
        """The state that has learnt from a whole generation.

        Args:
            key: Consumed.
            points: f32[P, D].
            loss: f32[P], finite, smaller is better.
            asked: The state that `asked` gave.
            state: The one before, from which numbers come that have become NaN.
        """
        with as_evosax_has_it():
            after, _ = self.made.tell(key, points, loss, asked, self._params)
            return jax.tree.map(_kept, after, state)


def _known(leaf: Any) -> jax.Array:
    """``leaf`` with a type of its own; 0 for NaN, evosax's word for "not known yet"."""
    leaf = jax.lax.convert_element_type(leaf, jnp.asarray(leaf).dtype)
    if not jnp.issubdtype(leaf.dtype, jnp.floating):
        return leaf
    return jnp.where(jnp.isnan(leaf), jnp.zeros_like(leaf), leaf)


def _kept(new: Any, old: jax.Array) -> jax.Array:
    """``new`` as the type of ``old``; ``old`` where it is not a number any more."""
    leaf = jax.lax.convert_element_type(new, old.dtype)
    if not jnp.issubdtype(leaf.dtype, jnp.floating):
        return leaf
    # The best loss is infinite before there is one.
    lost = jnp.isnan(leaf) | (jnp.isinf(leaf) & jnp.isfinite(old))
    return jnp.where(lost, old, leaf)


def find(name: str) -> Make | None:
    """The strategy of that name, by evosax's table or by its class; else None."""
    found = known.algorithms.get(name, getattr(known, name, None))
    return found if isinstance(found, type) and hasattr(found, "tell") else None


def problems_of(strategy: Any, settings: Hashable) -> list[str]:
    """What is wrong before anything is made."""
    found = []
    if hasattr(strategy, "tell") and not isinstance(strategy, type):
        found.append(
            f"`strategy` must be made for a number of dimensions, which a study knows, "
            f"but got one that is made. Use `strategy={type(strategy).__name__!r}`, or "
            f"a function `(population_size, solution) -> strategy`."
        )
    elif not callable(strategy) and find(str(strategy)) is None:
        found.append(
            f"`strategy` must be the name of a strategy of evosax, a class or a "
            f"function, but got {strategy!r}.{nearest(str(strategy), known.algorithms)}"
            f" evosax has {', '.join(known.algorithms)}."
        )
    try:
        hash(settings)
    except TypeError:
        found.append(
            f"`settings` must be numbers, words or tuples of them, but got "
            f"{settings!r}. Make what else there is in a function `(population_size, "
            f"solution) -> strategy`, and give that."
        )
    return found


def make(
    strategy: Make,
    settings: Mapping[str, Any],
    *,
    batch_size: int,
    dimensions: int,
    width: float,
) -> Strategy:
    """A strategy for points of so many dimensions.

    Args:
        strategy: A class of evosax, or a function that makes one of its objects.
        settings: Arguments of ``strategy``, fields of evosax's parameters, or
            attributes, whichever has the name.
        batch_size: P, the rows that it is to ask for.
        dimensions: D.
        width: The side of the box that it searches, 0 in the middle.

    Raises:
        ValueError: If evosax refuses them, or a setting is not known.
    """
    accepted = [
        name for name in inspect.signature(strategy).parameters if name not in _GIVEN
    ]
    arguments = {name: settings[name] for name in accepted if name in settings}
    if "sampling_fn" in accepted:
        arguments.setdefault("sampling_fn", _anywhere(dimensions, 0.5 * width))
    size = batch_size // int(arguments.get("num_populations", 1))
    # Its constants are values, whatever program is being traced.
    with as_evosax_has_it(), jax.ensure_compile_time_eval():
        try:
            made = strategy(
                population_size=size, solution=jnp.zeros(dimensions), **arguments
            )
        except (AssertionError, TypeError, ValueError) as error:
            raise ValueError(
                f"evosax must be able to make {named(strategy)} for batches of {size} "
                f"in {dimensions} dimensions, but says: {error} Change "
                f"`batch_size={batch_size}` or `settings={dict(settings)!r}`."
            ) from error
    if getattr(made, "total_population_size", size) != batch_size:
        raise ValueError(
            f"`batch_size` must be a multiple of `num_populations`, but got "
            f"`batch_size={batch_size}` and {size} rows for each of "
            f"{made.num_populations} populations. Use "
            f"`batch_size={(size + 1) * made.num_populations}`."
        )
    rest = {name: value for name, value in settings.items() if name not in arguments}
    changes = _changed(made, rest, accepted)
    defaults = _defaults(made)
    names = inspect.signature(made.init).parameters
    starts = next((n for n in ("population", "means", "mean") if n in names), "")
    if not starts:
        raise ValueError(
            f"A strategy must begin with a `population`, a `mean` or `means`, as those "
            f"of evosax do, but the init() of {named(strategy)} takes "
            f"{', '.join(names)}. Use a strategy of evosax 0.3."
        )
    return Strategy(made=made, defaults=defaults, changes=changes, starts=starts)


def _changed(
    made: Any, rest: Mapping[str, Any], accepted: list[str]
) -> tuple[tuple[str, Any], ...]:
    """Sets attributes of ``made``; what is left are changes of its parameters."""
    with as_evosax_has_it():
        params = jax.eval_shape(_defaults(made))
    fields = [field.name for field in dataclasses.fields(params)]
    changes = []
    for name, value in rest.items():
        if name in fields:
            changes.append((name, value))
        elif name in vars(made) and isinstance(vars(made)[name], bool | int | float):
            setattr(made, name, value)
        else:
            names = [*accepted, *fields]
            raise ValueError(
                f"`settings` must be arguments or parameters of {type(made).__name__}, "
                f"but got {name!r}.{nearest(name, names)} It has {', '.join(names)}."
            )
    return tuple(changes)


def _defaults(made: Any) -> Callable[[], Any]:
    """What gives default parameters, with a program where they can be traced.

    Of tens of small operations each would be compiled by itself.
    """
    with as_evosax_has_it():
        try:
            jax.eval_shape(lambda: made.default_params)
        except jax.errors.ConcretizationTypeError:
            with jax.ensure_compile_time_eval():
                params = made.default_params
            return lambda: params
    return lambda: made.default_params


def _anywhere(dimensions: int, end: float) -> Callable[[jax.Array], jax.Array]:
    """What evosax's random search draws from: uniform in [-end, end]^D."""

    def sample(key: jax.Array) -> jax.Array:
        return jax.random.uniform(key, (dimensions,), minval=-end, maxval=end)

    return sample


def keys_of(salt: jax.Array, number: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The keys that generation ``number`` is drawn and told with."""
    key = jax.random.wrap_key_data(salt, impl="threefry2x32")
    first, second = jax.random.split(jax.random.fold_in(key, number))
    return first, second


def named(strategy: Make) -> str:
    """What a strategy is called, the same in every process."""
    if find(name := getattr(strategy, "__name__", "")) is strategy:
        return name
    module = getattr(strategy, "__module__", "")
    return f"{module}.{getattr(strategy, '__qualname__', type(strategy).__name__)}"


@contextlib.contextmanager
def as_evosax_has_it() -> Iterator[None]:
    """Lets evosax mix dtypes and ranks, and call what optax has renamed."""
    with (
        jax.numpy_dtype_promotion("standard"),
        jax.numpy_rank_promotion("allow"),
        warnings.catch_warnings(),
    ):
        warnings.filterwarnings("ignore", "optax", DeprecationWarning)
        yield
