"""A function of hyperparameters as a function of the unit cube."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from evotune._errors import raise_all
from evotune.study._simulate import Fitness

if TYPE_CHECKING:
    from evotune.space import Dimension, Space
    from evotune.tasks import Function


def cube_fitness(task: Function, space: Space) -> Fitness:
    """What `simulate` maximises where `evotune.tune` would train ``task`` in ``space``.

    Points are decoded on the host by the space itself, all of a generation at once, so
    that the function sees the numbers that it sees in a study.

    Args:
        task: A function of numbers; what is minimised changes its sign.
        space: Without constraints, and of numbers, booleans and permutations (whose
            positions the function sees), as other choices cannot enter a traced
            function.

    Raises:
        ValueError: If the task is no `Function`, or has constraints, or the space has
            constraints or choices that are not numbers; all problems are listed.

    Example:
        >>> import evotune as et
        >>> task = et.tasks.Function(lambda hp: (hp.x - 2.0) ** 2)
        >>> fitness = cube_fitness(task, et.Space(x=et.Float(0.0, 10.0)))
        >>> float(fitness(jnp.asarray([0.5]), jax.random.key(0)))
        -9.0
    """
    from evotune.space import Permutation
    from evotune.tasks import Hyperparameters

    raise_all(_problems(task, space), ValueError, "cube_fitness()")
    middle = space.decode(np.full((1, len(space.axes)), 0.5, np.float32))
    structs = {
        name: _struct(dimension, middle[name])
        for name, dimension in space.dimensions.items()
    }
    directions = (task.objectives or {task.metric: task.direction}).items()

    def decoded(x: np.ndarray) -> dict[str, np.ndarray]:
        rows = np.asarray(x)
        columns = space.decode(rows.reshape(-1, rows.shape[-1]))
        found = {}
        for name, column in columns.items():
            dimension, struct = space.dimensions[name], structs[name]
            if isinstance(dimension, Permutation):
                column = dimension.positions(column)
            seen = np.asarray(column).astype(struct.dtype)
            found[name] = seen.reshape((*rows.shape[:-1], *struct.shape))
        return found

    def fitness(x: jax.Array, key: jax.Array) -> jax.Array:
        values = jax.pure_callback(decoded, structs, x, vmap_method="expand_dims")
        hp = Hyperparameters({**space.constants, **values})
        found = task.evaluate(task.init(hp, key))
        signed = [found[n] if d == "maximize" else -found[n] for n, d in directions]
        return jnp.stack(signed) if task.objectives else signed[0]

    return fitness


def _problems(task: Function, space: Space) -> list[str]:
    from evotune.space import Permutation
    from evotune.tasks import Function

    problems = []
    if not isinstance(task, Function):
        problems.append(
            f"The task must be a Function, which has a value at every point, but got "
            f"{type(task).__name__}. Train it with `et.tune`."
        )
    elif task.constraints:
        problems.append(
            f"The task must have no constraints, but has {list(task.constraints)}. "
            f"Search under constraints with `et.tune`."
        )
    if space.constraints:
        problems.append(
            f"The space must have no constraints, which a study keeps, but has "
            f"{list(space.constraints)!r}. Use `et.tune`, or a space without them."
        )
    for name, dimension in space.dimensions.items():
        if isinstance(dimension, Permutation):
            continue
        if np.asarray(dimension.values).dtype.kind not in "bif":
            problems.append(
                f"All that is searched must be numbers, but {name!r} is one of "
                f"{list(dimension.values)!r:.80}. Number the choices: "
                f"`{name}=et.Categorical(range({len(dimension.values)}))`."
            )
    return problems


def _struct(dimension: Dimension, column: Sequence[Any] | np.ndarray) -> Any:
    """How a function sees values: as bool, i32 or f32, of an order as i32[n]."""
    from evotune.space import Permutation

    if isinstance(dimension, Permutation):
        return jax.ShapeDtypeStruct((dimension.count,), np.int32)
    kinds = {"b": np.bool_, "i": np.int32, "f": np.float32}
    values = np.asarray(dimension.values or column)
    return jax.ShapeDtypeStruct((), kinds[values.dtype.kind])
