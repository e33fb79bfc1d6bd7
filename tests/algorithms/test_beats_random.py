"""Methods that learn beat random search, on paired seeds, at equal trials."""

from __future__ import annotations

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evotune import algorithms as ea
from evotune._contracts import Condition, Geometry, Status, pending
from evotune.algorithms._cube import levels_of
from evotune.testing import choice, cube, floating, integer, log_integer
from evotune.testing._haste import hasty_jit

ROWS, GENERATIONS, SEEDS, NOISE = 64, 10, 12, 0.004

Score = Callable[[jax.Array, jax.Array, jax.Array], jax.Array]


def _bowl(x, level, best):
    """A smooth bowl with two integers that saturate and a category that matters."""
    loss = (jnp.asarray([1.0, 0.3, 0.1])[None] * (x[:, :3] - best[None, :3]) ** 2).sum(
        1
    )
    width = 0.1 * jnp.exp(-3.0 * x[:, 3])
    kind = jnp.where(level[:, 4] == jnp.floor(3 * best[4]).astype(jnp.int32), 0.0, 0.02)
    return 0.98 - loss - width - kind


def _ridge(x, level, best):
    """A narrow valley across two dimensions, with a category."""
    d = x[:, :2] - best[None, :2]
    # Steep enough that random search ends well below what the noise can hide.
    loss = 0.6 * d[:, 0] ** 2 + 8.0 * (d[:, 1] - 1.2 * d[:, 0]) ** 2
    return (
        0.97
        - loss
        - 0.01 * jnp.abs(x[:, 2] - best[2])
        - 0.01 * (x[:, 3] - best[3]) ** 2
    )


def _ripples(x, level, best):
    """Many local optima on a bowl."""
    d = x - best[None]
    ripple = (1.0 - jnp.cos(2.0 * jnp.pi * 4.0 * d)).sum(1)
    return 1.0 - 0.3 * (d**2).sum(1) - 0.015 * ripple


def _categories(x, level, best):
    """Categories whose effects hang on their neighbours."""
    pairs = jnp.roll(level, 1, axis=1) * 5 + level
    table = jnp.sin(best[None, :1] * 40.0 + 7.3 * pairs.astype(jnp.float32))
    return 0.7 + 0.05 * table.sum(1)


def _conditional(x, level, best):
    """An optimum of its own for each category, in dimensions of its own."""
    own = jnp.asarray([[0.0, 0.4, 0.0, 0.8], [0.0, 0.0, 0.5, 0.8]])[level[:, 0]]
    loss = (own * (x - best[None]) ** 2).sum(1)
    return 0.95 - loss + 0.01 * level[:, 0].astype(jnp.float32)


def _cliff(x, level, best):
    """Half of the space diverges, and the best lies near its edge."""
    loss = ((x[:, :3] - best[None, :3]) ** 2).sum(1)
    diverged = x[:, 0] > best[0] + 0.08
    return jnp.where(diverged, -jnp.inf, 0.95 - 0.5 * loss - 0.01 * x[:, 3])


def _when(level):
    return (Condition(parent=0, levels=(level,)),)


CASES: dict[str, tuple[Geometry, Score]] = {
    "bowl": (
        cube(floating(), floating(), floating(), log_integer(16, 256), choice(3)),
        _bowl,
    ),
    "ridge": (cube(floating(), floating(), integer(8), integer(4)), _ridge),
    "ripples": (cube(*[floating()] * 4, integer(16), integer(16)), _ripples),
    "categories": (
        cube(choice(4), choice(3), choice(5), choice(3), choice(5), choice(4)),
        _categories,
    ),
    "conditional": (
        cube(choice(2), floating(when=_when(0)), floating(when=_when(1)), floating()),
        _conditional,
    ),
    "cliff": (cube(floating(), floating(), floating(), integer(5)), _cliff),
}


def _search(algorithm, geometry: Geometry, score: Score, seed: jax.Array) -> jax.Array:
    """The true score of the trial that looked best, as a user would have it."""
    key = jax.random.key(seed)
    best = jax.random.uniform(jax.random.fold_in(key, 99), (geometry.dimensions,))
    best = 0.15 + 0.7 * best

    def generation(carry, number):
        state, top, true_top = carry
        own = jax.random.fold_in(key, number)
        proposal = algorithm.ask(own, state)
        state = algorithm.tell(state, pending(proposal))
        true = score(proposal.x, levels_of(proposal.x, geometry), best)
        noise = NOISE * jax.random.normal(jax.random.fold_in(own, 1), (ROWS,))
        seen = jnp.round((true + noise) * 360.0) / 360.0  # plateaus, as accuracy has
        good = jnp.isfinite(true)
        outcome = pending(proposal)
        outcome = type(outcome)(
            **{
                **vars(outcome),
                "fitness": seen[:, None],
                "status": jnp.where(good, Status.COMPLETE, Status.DIVERGED).astype(
                    jnp.int32
                ),
            }
        )
        row = jnp.argmax(seen)
        better = seen[row] > top
        top = jnp.where(better, seen[row], top)
        true_top = jnp.where(better, true[row], true_top)
        return (algorithm.tell(state, outcome), top, true_top), None

    state = algorithm.init(key, geometry)
    start = (state, -jnp.float32(jnp.inf), -jnp.float32(jnp.inf))
    return jax.lax.scan(generation, start, jnp.arange(GENERATIONS))[0][2]


METHODS = {
    "genetic": ea.GeneticAlgorithm(surrogate=None),
    "differential": ea.DifferentialEvolution(),
    "ageing": ea.AgeingEvolution(),
    "swarm": ea.ParticleSwarm(),
    "cma_es": ea.CMAES(),
    "staged": ea.StagedSearch(stages=[(0, 1), (2, 3), (4, 5)]),
    "islands": ea.Islands(ea.GeneticAlgorithm(population_size=16, surrogate=None)),
}

PAIRS = [
    *(("genetic", name) for name in CASES),
    ("differential", "ripples"),
    ("ageing", "categories"),
    ("swarm", "bowl"),
    ("cma_es", "bowl"),
    ("staged", "ripples"),
    ("islands", "ripples"),
]
"""Each method where its own strength shows, the default one everywhere."""


@functools.cache
def _scores(algorithm, name: str) -> np.ndarray:
    """f32[SEEDS] of one method on one case."""
    geometry, score = CASES[name]

    def run(numbers: jax.Array) -> jax.Array:
        return jax.lax.map(
            lambda seed: _search(algorithm, geometry, score, seed), numbers
        )

    return np.asarray(hasty_jit(run)(jnp.arange(SEEDS)))


@pytest.mark.parametrize(("method", "name"), PAIRS)
def test_methods_beat_random_search(method, name) -> None:
    random = _scores(ea.RandomSearch(batch_size=ROWS), name)
    scores = _scores(METHODS[method], name)
    table = "\n".join(
        f"seed {seed:2d}: random {r:.4f}  {method} {s:.4f}  {s - r:+.4f}"
        for seed, (r, s) in enumerate(zip(random, scores, strict=True))
    )
    wins = float(np.mean(scores > random) + 0.5 * np.mean(scores == random))
    assert wins >= 0.7, f"{name}: {method} won {wins:.0%}\n{table}"
    assert scores.mean() > random.mean(), f"{name}: its mean is not better\n{table}"
