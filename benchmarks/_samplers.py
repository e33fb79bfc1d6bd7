"""Search methods on a recorded table: trials in, losses out."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Sequence
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks._tables import Table
from evotune._contracts import (
    EMPTY,
    Algorithm,
    Geometry,
    Outcome,
    Proposal,
    Status,
    pending,
)

Levels = Callable[[Any], list[int]]


def evotune_losses(
    algorithm: Algorithm, table: Table, *, seeds: Sequence[int], rounds: int, batch: int
) -> np.ndarray:
    """What evotune's algorithm finds: all rounds of all seeds are one program.

    Args:
        algorithm: Proposes at least ``batch`` rows; the first ``batch`` are tried.
        table: Where it searches.
        seeds: S of them.
        rounds: Times that it is asked and told.
        batch: Trials of a round.

    Returns:
        f64[S, rounds * batch] losses in the order of the trials.
    """
    keys = jax.vmap(jax.random.key)(jnp.asarray(seeds))
    search = _compiled(cast(Any, algorithm), table.geometry, rounds, batch)
    place = np.asarray(search(keys, jnp.asarray(table.losses, jnp.float32)))
    return table.losses.ravel().astype(np.float64)[place]


@functools.lru_cache(maxsize=32)
def _compiled(
    algorithm: Algorithm, geometry: Geometry, rounds: int, batch: int
) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """A program ``(keys [S], losses) -> i32[S, N]`` of the points that are tried."""

    def search(key: jax.Array, losses: jax.Array) -> jax.Array:
        def turn(state: Any, number: jax.Array) -> tuple[Any, jax.Array]:
            proposal = algorithm.ask(jax.random.fold_in(key, number), state)
            proposal = first_rows(proposal, batch)
            state = algorithm.tell(state, pending(proposal))
            place = places(proposal.x, losses.shape)
            fitness = -losses.ravel()[place]
            state = algorithm.tell(state, complete(proposal, fitness))
            return state, place[:batch]

        start = algorithm.init(key, geometry)
        return jax.lax.scan(turn, start, jnp.arange(1, rounds + 1))[1].reshape(-1)

    return jax.jit(lambda keys, losses: jax.lax.map(lambda k: search(k, losses), keys))


def first_rows(proposal: Proposal, batch: int) -> Proposal:
    """The proposal without the rows beyond ``batch``, which become EMPTY."""
    row = jnp.arange(proposal.trial.shape[0])
    trial = jnp.where(row < batch, proposal.trial, EMPTY)
    return Proposal(**{**vars(proposal), "trial": trial})


def places(x: jax.Array, sizes: tuple[int, ...]) -> jax.Array:
    """i32[P], the flat places in a table of these sizes of f32[P, D] in the cube."""
    count = np.asarray(sizes, np.float32)[None]
    level = jnp.clip(jnp.floor(x * count), 0.0, count - 1.0).astype(jnp.int32)
    return jnp.ravel_multi_index(tuple(level.T), sizes, mode="clip")


def complete(proposal: Proposal, fitness: jax.Array) -> Outcome:
    """The outcome of a proposal whose every row came to its end."""
    rows = pending(proposal)
    status = jnp.full_like(rows.status, Status.COMPLETE)
    return Outcome(**{**vars(rows), "fitness": fitness[:, None], "status": status})


def optuna_losses(
    sampler: str, table: Table, *, seed: int, rounds: int, batch: int
) -> np.ndarray:
    """What a sampler of Optuna finds: f64[rounds * batch] losses in their order.

    All trials of a round are asked for before any of them is told.

    Args:
        sampler: "TPE", "NSGA-II", "QMC" or "random".
        table: Where it searches.
        seed: Of the sampler.
        rounds: Times that it is told.
        batch: Trials of a round.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=_sampler(sampler, seed, batch))
    levels = _suggest(table, unordered=sampler != "QMC")
    losses = []
    for _ in range(rounds):
        trials = [study.ask() for _ in range(batch)]
        values = [float(table.losses[tuple(levels(trial))]) for trial in trials]
        for trial, value in zip(trials, values, strict=True):
            study.tell(trial, value)
        losses += values
    return np.asarray(losses)


def _sampler(name: str, seed: int, batch: int) -> Any:
    """The sampler in the form that suits rounds of ``batch``."""
    import optuna

    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    if name == "TPE":
        # A lie about those that run keeps the trials of a round apart.
        return optuna.samplers.TPESampler(seed=seed, constant_liar=batch > 1)
    if name == "NSGA-II":
        size = batch if batch > 1 else 10
        return optuna.samplers.NSGAIISampler(seed=seed, population_size=size)
    if name == "QMC":
        return optuna.samplers.QMCSampler(seed=seed, scramble=True)
    return optuna.samplers.RandomSampler(seed=seed)


def _suggest(table: Table, *, unordered: bool) -> Levels:
    """Asks a trial for the level of each dimension.

    Args:
        table: Says how many levels there are, and which have an order.
        unordered: Whether categories are suggested as such. Optuna's QMC draws those at
            random, so it is told that they are integers.
    """

    def level(trial: Any, name: str, count: int, ordered: bool) -> int:
        if ordered or not unordered:
            return int(trial.suggest_int(name, 0, count - 1))
        return int(trial.suggest_categorical(name, range(count)))

    axes = list(zip(table.losses.shape, table.ordered, strict=True))
    return lambda trial: [level(trial, f"x{d}", *axis) for d, axis in enumerate(axes)]
