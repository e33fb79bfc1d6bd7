"""A whole search in one program is that of a study, for as many seeds as one likes."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import evotune as et
from evotune import algorithms as ea
from evotune._contracts import EMPTY, Status, pending
from evotune.study import cube_fitness, simulate
from evotune.testing import choice, cube, finish, floating, integer
from evotune.testing._haste import hasty_jit
from tests.algorithms import test_contract

MIXED = cube(floating(), integer(7), choice(3), floating())
SUITES = [s for s in vars(test_contract).values() if hasattr(s, "algorithm")]
EVERY = {type(s.algorithm).__name__: s.algorithm for s in reversed(SUITES)}
"""Every method of the package, as its first contract suite has it."""

SEARCH = ea.DifferentialEvolution(population_size=8)


def bowl(x: jax.Array, key: jax.Array) -> jax.Array:
    """A tilted bowl, of which a corner diverges, with some noise."""
    loss = jnp.sum((x - 0.3) ** 2) + 0.01 * jax.random.normal(key)
    return jnp.where(x[0] > 0.9, jnp.nan, -loss)


@pytest.mark.parametrize("name", EVERY)
def test_searches_of_eight_seeds_at_once_are_those_of_one_at_a_time(name) -> None:
    search = EVERY[name]

    def run(key):
        return simulate(search, bowl, MIXED, key, generations=4)

    keys = jax.random.split(jax.random.key(7), 8)
    together, one = hasty_jit(jax.vmap(run))(keys), hasty_jit(run)
    for row, key in enumerate(keys):
        alone = one(key)
        np.testing.assert_array_equal(together.trial[row], alone.trial)
        np.testing.assert_array_equal(together.status[row], alone.status)
        for field in ("x", "fitness"):
            a, b = getattr(together, field)[row], getattr(alone, field)
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-4)


def test_a_search_is_that_of_a_plain_loop() -> None:
    search, key = SEARCH, jax.random.key(3)
    found = hasty_jit(functools.partial(simulate, search, bowl, MIXED, generations=4))(
        key
    )
    assert found.x.shape == (4, 8, 4)
    assert found.fitness.shape == (4, 8, 1)
    assert found.trial.ravel().tolist() == list(range(32))
    study = et.study._search
    state = search.init(study.init_key(key), MIXED)
    ask, tell = hasty_jit(search.ask), hasty_jit(search.tell)
    for number in range(4):
        proposal = ask(study.ask_key(key, jnp.uint32(number)), state)
        np.testing.assert_array_equal(proposal.x, found.x[number])
        keys = [
            jax.random.fold_in(jax.random.fold_in(key, trial), 0)
            for trial in proposal.trial
        ]
        values = jnp.stack([bowl(*row) for row in zip(proposal.x, keys, strict=True)])
        good = np.isfinite(values)
        np.testing.assert_array_equal(
            found.status[number], np.where(good, Status.COMPLETE, Status.DIVERGED)
        )
        fitness = np.where(good, values, -np.inf)
        np.testing.assert_allclose(found.fitness[number, :, 0], fitness, atol=1e-6)
        state = tell(state, pending(proposal))
        state = tell(state, finish(proposal, fitness, status=found.status[number]))


SPACE = et.Space(
    x=et.Float(0.01, 10.0, log=True),
    y=et.Int(1, 64, log=True),
    kind=et.Categorical([1, 4, 9]),
    on=et.Bool(),
    z=et.Float(-1.0, 1.0, when={"on": True}),
    scale=0.5,
)


def quartic(hp, key):
    """Values of every kind, a constant, a condition and the trial's own noise."""
    loss = (jnp.asarray(hp.x) - 2.0) ** 2 + hp.scale * jnp.asarray(hp.y, jnp.float32)
    loss = loss + 0.1 * jnp.asarray(hp.kind, jnp.float32) + jnp.asarray(hp.z) ** 2
    noise = 0.01 * jax.random.normal(key)
    return loss + noise + jnp.where(jnp.asarray(hp.on), 0.0, 0.3)


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_a_simulated_search_finds_what_tune_finds(direction) -> None:
    task = et.tasks.Function(quartic, direction=direction)
    search = SEARCH
    result = et.tune(
        task, SPACE, algorithm=search, generations=4, seed=11, progress=False
    )
    fitness = cube_fitness(task, SPACE)
    found = hasty_jit(
        functools.partial(simulate, search, fitness, SPACE.geometry(), generations=4)
    )(jax.random.key(11))
    sign = 1.0 if direction == "maximize" else -1.0
    values = [trial.value for trial in result.trials]
    np.testing.assert_allclose(sign * found.fitness.ravel(), values, rtol=1e-5)
    assert SPACE.params(found.x.reshape(32, -1)) == [t.params for t in result.trials]


def test_several_objectives_are_ranked() -> None:
    task = et.tasks.Function(
        lambda hp: (hp.x**2, (hp.x - 2.0) ** 2), directions=("minimize", "maximize")
    )
    space = et.Space(x=et.Float(-5.0, 5.0))
    search = ea.NSGA2(population_size=8, surrogate=None)
    found = simulate(
        search,
        cube_fitness(task, space),
        space.geometry(),
        jax.random.key(0),
        generations=3,
    )
    x = np.asarray([row["x"] for row in space.params(found.x.reshape(24, 1))])
    np.testing.assert_allclose(
        found.fitness.reshape(24, 2),
        np.stack([-(x**2), (x - 2.0) ** 2], axis=1),
        rtol=1e-5,
        atol=1e-6,
    )


def test_rows_that_are_not_tried_are_nobodys() -> None:
    search = ea.AgeingEvolution(population_size=8, sample_size=3, batch_size=8)
    found = simulate(search, bowl, MIXED, jax.random.key(0), generations=3, rows=1)
    assert found.trial.tolist() == [[n, *[EMPTY] * 7] for n in range(3)]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"generations": 0}, "generations"),
        ({"rows": 0}, "rows"),
        ({"fitness": lambda x, key: x[None]}, r"shape \(1, 4\)"),
        ({"fitness": lambda x, key: x}, "ranks 1 and the function has 4"),
    ],
)
def test_wrong_arguments_are_named(changes, words) -> None:
    given = {
        "algorithm": et.RandomSearch(batch_size=8) if "shape" in words else SEARCH,
        "fitness": bowl,
        "geometry": MIXED,
        "key": jax.random.key(0),
        "generations": 2,
    }
    with pytest.raises(ValueError, match=words):
        simulate(**{**given, **changes})


def test_what_only_a_study_can_keep_is_refused_with_the_name() -> None:
    space = et.Space(
        width=et.Int(1, 8),
        kind=et.Categorical(["a", "b"]),
        constraints=["width < 5"],
    )
    task = et.tasks.Function(lambda hp: hp.width)
    with pytest.raises(ValueError, match="has 2 problems") as caught:
        cube_fitness(task, space)
    assert "'kind' is one of ['a', 'b']" in str(caught.value)
    assert "width < 5" in str(caught.value)
