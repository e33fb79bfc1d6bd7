"""Search methods on recorded tables and functions: trials in, losses out."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Sequence
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import _fronts, _functions
from benchmarks._tables import Table
from evotune._contracts import (
    Algorithm,
    Geometry,
    Kind,
    Outcome,
    Proposal,
    Status,
    pending,
)
from evotune.study import simulate

Row = Callable[[Any], list[float]]
Problem = _functions.Problem | _fronts.Problem


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
        def fitness(x: jax.Array) -> jax.Array:
            return -losses.ravel()[places(x[None], losses.shape)[0]]

        found = simulate(
            algorithm, fitness, geometry, key, generations=rounds, rows=batch
        )
        tried = found.x[:, :batch].reshape(-1, geometry.dimensions)
        return places(tried, losses.shape)

    return jax.jit(lambda keys, losses: jax.lax.map(lambda k: search(k, losses), keys))


def places(x: jax.Array, sizes: tuple[int, ...]) -> jax.Array:
    """i32[P], the flat places in a table of these sizes of f32[P, D] in the cube."""
    count = np.asarray(sizes, np.float32)[None]
    level = jnp.clip(jnp.floor(x * count), 0.0, count - 1.0).astype(jnp.int32)
    return jnp.ravel_multi_index(tuple(level.T), sizes, mode="clip")


def complete(proposal: Proposal, fitness: jax.Array) -> Outcome:
    """The outcome of a proposal whose every row came to its end.

    Args:
        proposal: P rows.
        fitness: f32[P], or f32[P, M] of several objectives.
    """
    fitness = fitness.reshape(fitness.shape[0], -1)
    rows = pending(proposal, objectives=fitness.shape[1])
    status = jnp.full_like(rows.status, Status.COMPLETE)
    return Outcome(**{**vars(rows), "fitness": fitness, "status": status})


def aims(problem: Problem) -> int:
    """M, how many objectives a problem has."""
    return getattr(problem, "objectives", 1)


def asked_losses(
    algorithm: Algorithm,
    problems: Sequence[Problem],
    *,
    seeds: Sequence[int],
    rounds: int,
) -> np.ndarray:
    """What evotune's algorithm finds where losses are computed on the host.

    All seeds take their turns in one compiled program, between two of which the host
    evaluates what they ask for.

    Args:
        algorithm: Each row that it proposes is tried.
        problems: One for each seed, of the same geometry.
        seeds: S of them.
        rounds: Times that it is asked and told.

    Returns:
        f64[S, rounds * P] losses in the order of the trials; f64[S, rounds * P, M] of
        several objectives.
    """
    keys = jax.vmap(jax.random.key)(jnp.asarray(seeds))
    first = problems[0]
    start, turn = _turns(cast(Any, algorithm), first.geometry, aims(first))
    state, proposal = start(keys)
    found = []
    for number in range(rounds):
        rows = np.asarray(proposal.x)
        pairs = zip(problems, rows, strict=True)
        losses = np.stack([problem.evaluate(x) for problem, x in pairs])
        found.append(losses)
        if number + 1 < rounds:
            fitness = jnp.asarray(-losses, jnp.float32)
            state, proposal = turn(
                keys, jnp.int32(number + 2), state, proposal, fitness
            )
    return np.concatenate(found, axis=1)


@functools.lru_cache(maxsize=32)
def _turns(
    algorithm: Algorithm, geometry: Geometry, objectives: int
) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Programs of S searches: the first proposals, and the next ones after results."""

    def ask(key: jax.Array, number: jax.Array, state: Any) -> tuple[Any, Proposal]:
        proposal = algorithm.ask(jax.random.fold_in(key, number), state)
        waiting = pending(proposal, objectives=objectives)
        return algorithm.tell(state, waiting), proposal

    def start(key: jax.Array) -> tuple[Any, Proposal]:
        return ask(key, jnp.int32(1), algorithm.init(key, geometry))

    def turn(
        key: jax.Array,
        number: jax.Array,
        state: Any,
        proposal: Proposal,
        fitness: jax.Array,
    ) -> tuple[Any, Proposal]:
        return ask(key, number, algorithm.tell(state, complete(proposal, fitness)))

    def turns(keys: jax.Array, number: jax.Array, *rest: Any) -> Any:
        return jax.lax.map(lambda one: turn(one[0], number, *one[1:]), (keys, *rest))

    return jax.jit(lambda keys: jax.lax.map(start, keys)), jax.jit(turns)


def optuna_losses(
    sampler: str, problem: Problem, *, seed: int, rounds: int, batch: int
) -> np.ndarray:
    """What a sampler of Optuna finds: f64[rounds * batch] losses in their order.

    All trials of a round are asked for before any of them is told. Of several
    objectives the losses are f64[rounds * batch, M].

    Args:
        sampler: "TPE", "multivariate TPE", "CMA-ES", "NSGA-II", "NSGA-II, its own
            size", "NSGA-II, SBX", "NSGA-III", "QMC" or "random".
        problem: Where it searches.
        seed: Of the sampler.
        rounds: Times that it is told.
        batch: Trials of a round.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(
        sampler=_sampler(sampler, seed, batch), directions=["minimize"] * aims(problem)
    )
    row = _suggest(problem.geometry, unordered=sampler != "QMC")
    losses = []
    for _ in range(rounds):
        trials = [study.ask() for _ in range(batch)]
        values = problem.evaluate(np.asarray([row(trial) for trial in trials]))
        for trial, value in zip(trials, values.tolist(), strict=True):
            study.tell(trial, value)
        losses += values.tolist()
    return np.asarray(losses)


def _sampler(name: str, seed: int, batch: int) -> Any:
    """The sampler in the form that suits rounds of ``batch``."""
    import optuna

    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    if name in ("TPE", "multivariate TPE"):
        # A lie about those that run keeps the trials of a round apart.
        return optuna.samplers.TPESampler(
            seed=seed, constant_liar=batch > 1, multivariate=name != "TPE"
        )
    size = batch if batch > 1 else 10
    if name == "CMA-ES":
        # A round is a generation; the margin keeps integers within reach.
        return optuna.samplers.CmaEsSampler(seed=seed, popsize=size, with_margin=True)
    if name == "NSGA-II":
        return optuna.samplers.NSGAIISampler(seed=seed, population_size=size)
    if name == "NSGA-II, its own size":
        return optuna.samplers.NSGAIISampler(seed=seed)
    if name == "NSGA-II, SBX":
        crossover = optuna.samplers.nsgaii.SBXCrossover()
        return optuna.samplers.NSGAIISampler(
            seed=seed, population_size=size, crossover=crossover
        )
    if name == "NSGA-III":
        return optuna.samplers.NSGAIIISampler(seed=seed, population_size=size)
    if name == "QMC":
        return optuna.samplers.QMCSampler(seed=seed, scramble=True)
    return optuna.samplers.RandomSampler(seed=seed)


def _suggest(geometry: Geometry, *, unordered: bool) -> Row:
    """Asks a trial for its row of the unit cube.

    Args:
        geometry: Says how many levels there are, and which have an order.
        unordered: Whether categories are suggested as such. Optuna's QMC draws those at
            random, so it is told that they are integers.
    """

    def level(trial: Any, name: str, count: int, kind: Kind) -> int:
        if kind is not Kind.CATEGORICAL or not unordered:
            return int(trial.suggest_int(name, 0, count - 1))
        return int(trial.suggest_categorical(name, range(count)))

    def coordinate(trial: Any, name: str, count: int, kind: Kind) -> float:
        if not count:
            return float(trial.suggest_float(name, 0.0, 1.0))
        return (level(trial, name, count, kind) + 0.5) / count

    axes = list(zip(geometry.levels, geometry.kinds, strict=True))
    return lambda trial: [
        coordinate(trial, f"x{d}", *axis) for d, axis in enumerate(axes)
    ]
