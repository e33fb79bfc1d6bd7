"""A whole search in one program: the loop of a study, for what JAX can trace."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from evotune._contracts import (
    EMPTY,
    Algorithm,
    Geometry,
    Outcome,
    Proposal,
    Status,
    pending,
)
from evotune._errors import count_problems, raise_all
from evotune._signatures import call_by_name
from evotune.study._search import ask_key, init_key

Fitness = Callable[..., jax.Array]
"""``(x f32[D], key) -> f32[]`` or f32[M], larger is better; NaN where it diverges."""


def simulate(
    algorithm: Algorithm,
    fitness: Fitness,
    geometry: Geometry,
    key: jax.Array,
    *,
    generations: int,
    rows: int | None = None,
) -> Outcome:
    """Runs an algorithm on a function of the unit cube, in one ``lax.scan``.

    All of it is one traced function, so that searches over many seeds can be vmapped,
    and compared, without a study each. Each generation is asked for, told as RUNNING,
    evaluated and told, with the keys of a study of that seed; so, but for rounding, it
    finds what `evotune.tune` finds on `cube_fitness` of the same task, with
    ``key = jax.random.key(seed)``.

    Every trial is a function value: constraints of a space and the draws that they
    cost, enqueued trials, training states, budgets and the record are a study's alone.

    Args:
        algorithm: Each of its trials must stand for itself: what continues others, as
            population-based training does, is not meant.
        fitness: The function ``(x, key)``, written for one trial, of a point f32[D] and
            the trial's own key, which may be left out; larger is better, and NaN is a
            trial that diverged. `cube_fitness` makes one of a task.
        geometry: The cube that is searched, such as ``space.geometry()``.
        key: Consumed.
        generations: G, how often the algorithm is asked.
        rows: How many rows of each proposal are tried, from the first; None for all. A
            method that waits for whole generations learns nothing from a part.

    Returns:
        What came of each generation, in arrays with an axis G before the others:
        ``x`` is f32[G, P, D], ``fitness`` f32[G, P, M]. Rows that are not trials have
        ``trial`` EMPTY.

    Raises:
        ValueError: If ``generations`` or ``rows`` is not positive, or the algorithm
            ranks another number of objectives than the function has.

    Example:
        >>> import evotune as et
        >>> def bowl(x):
        ...     return -jnp.sum((x - 0.3) ** 2)
        >>> geometry = et.Space(x=et.Float(0, 1), y=et.Float(0, 1)).geometry()
        >>> search = et.algorithms.DifferentialEvolution(population_size=16)
        >>> def best(key):
        ...     found = simulate(search, bowl, geometry, key, generations=8)
        ...     return found.fitness.max()
        >>> keys = jax.random.split(jax.random.key(0), 3)
        >>> jax.jit(jax.vmap(best))(keys).shape
        (3,)
    """
    problems = count_problems("Use `generations=10`.", generations=generations)
    if rows is not None:
        problems += count_problems("Use `rows=None` for all.", rows=rows)
    raise_all(problems, ValueError, "simulate()")
    point = jax.ShapeDtypeStruct((geometry.dimensions,), jnp.float32)

    def value(x: jax.Array, key: jax.Array) -> jax.Array:
        return call_by_name(fitness, x=x, key=key)

    objectives = _objectives(algorithm, jax.eval_shape(value, point, key).shape)

    def turn(state: Any, number: jax.Array) -> tuple[Any, Outcome]:
        proposal = algorithm.ask(ask_key(key, number), state)
        waiting = pending(_first(proposal, rows), objectives=objectives)
        keys = jax.vmap(lambda trial: _own_key(key, trial))(waiting.trial)
        values = jax.vmap(value)(waiting.x, keys).astype(jnp.float32)
        outcome = _finished(waiting, values.reshape(-1, objectives))
        return algorithm.tell(algorithm.tell(state, waiting), outcome), outcome

    start = algorithm.init(init_key(key), geometry)
    return jax.lax.scan(turn, start, jnp.arange(generations, dtype=jnp.uint32))[1]


def _objectives(algorithm: Algorithm, shape: tuple[int, ...]) -> int:
    """M of a function that returns ``shape``.

    Raises:
        ValueError: If that is neither a scalar nor a vector, or not what is ranked.
    """
    if len(shape) > 1 or shape == (0,):
        raise ValueError(
            f"A fitness must be a scalar, or a vector with one number for each "
            f"objective, but has the shape {shape}. Reduce it, for instance with "
            f"`jnp.sum`."
        )
    found = shape[0] if shape else 1
    ranked = getattr(algorithm, "objectives", 1)
    if ranked not in (None, found):
        raise ValueError(
            f"The algorithm must rank as many objectives as the function has, but "
            f"{type(algorithm).__name__} ranks {ranked} and the function has {found}. "
            f"Use `NSGA2(objectives={found})`, or return one number."
        )
    return found


def _first(proposal: Proposal, rows: int | None) -> Proposal:
    """The proposal without the rows beyond the first ones, which become EMPTY."""
    place = jnp.arange(proposal.trial.shape[0])
    tried = place < (place.size if rows is None else rows)
    trial = jnp.where(tried, proposal.trial, jnp.int32(EMPTY))
    return dataclasses.replace(proposal, trial=trial)


def _own_key(key: jax.Array, trial: jax.Array) -> jax.Array:
    """The key that the engine hands a trial's function."""
    return jax.random.fold_in(jax.random.fold_in(key, trial), 0)


def _finished(waiting: Outcome, values: jax.Array) -> Outcome:
    """The outcome of function values, f32[P, M]; of NaN or infinity it diverged."""
    sound = jnp.isfinite(values).all(axis=1)
    status = jnp.where(sound, Status.COMPLETE, Status.DIVERGED).astype(jnp.int32)
    return dataclasses.replace(
        waiting,
        fitness=jnp.where(sound[:, None], values, -jnp.inf),
        status=status,
        spent=jnp.ones_like(waiting.spent),
    )
