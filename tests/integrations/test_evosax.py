"""evosax's strategies search here as they do there."""

from __future__ import annotations

import dataclasses
import functools
from typing import ClassVar

import evosax.algorithms
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import evotune as et
from evotune._contracts import Status, pending
from evotune.integrations._evosax_strategy import as_evosax_has_it
from evotune.integrations.evosax import EvosaxSearch
from evotune.testing import (
    GEOMETRIES,
    AlgorithmContract,
    cube,
    finish,
    floating,
    part,
)
from evotune.testing._haste import hasty_jit

BOX = cube(floating(), floating(), floating())
NAMES = list(evosax.algorithms.algorithms)


class _InOneSpace(AlgorithmContract):
    """Every kind of dimension; compiling is what takes long."""

    algorithm = EvosaxSearch(strategy="CMA_ES", batch_size=8)
    geometries: ClassVar = {"conditional": GEOMETRIES["conditional"]}
    rounding = 1e-4

    __test__ = False


class TestCMAES(_InOneSpace):
    __test__ = True
    algorithm = EvosaxSearch(strategy="CMA_ES", batch_size=8)


class TestGeneticAlgorithm(_InOneSpace):
    __test__ = True
    algorithm = EvosaxSearch(strategy="SimpleGA", batch_size=8)


class TestDifferentialEvolution(_InOneSpace):
    __test__ = True
    algorithm = EvosaxSearch(
        strategy="DifferentialEvolution",
        batch_size=8,
        settings={"num_diff": 2, "elitism": False, "crossover_rate": 0.5},
    )


class TestParticleSwarm(_InOneSpace):
    __test__ = True
    algorithm = EvosaxSearch(strategy="PSO", batch_size=8)


class TestOpenES(_InOneSpace):
    __test__ = True
    algorithm = EvosaxSearch(strategy="Open_ES", batch_size=8)


class TestPGPE(_InOneSpace):
    __test__ = True
    algorithm = EvosaxSearch(strategy="PGPE", batch_size=8)


def away(x: jax.Array) -> jax.Array:
    """f32[P] losses of a bowl that is steeper along some dimensions."""
    slope = 4.0 ** jnp.arange(x.shape[1], dtype=jnp.float32)
    return jnp.sum(slope[None] * (x - 0.37) ** 2, axis=1)


@functools.cache
def compiled(search):
    begin = hasty_jit(lambda key: search.init(key, BOX))
    return begin, hasty_jit(search.ask), hasty_jit(search.tell)


def begun(search, seed=0):
    return compiled(search)[0](jax.random.key(seed))


def generation(search, state, losses=None, status=Status.COMPLETE):
    """One more generation: its proposal, and the state that knows all of it."""
    _, ask, tell = compiled(search)
    proposal = ask(jax.random.key(0), state)
    losses = away(proposal.x) if losses is None else losses
    state = tell(state, pending(proposal))
    outcome = finish(proposal, -np.asarray(losses), status=status)
    return proposal, tell(state, outcome)


def unit(points):
    """Where points of a box of ten units are in the cube, mirror images included."""
    return 1.0 - jnp.abs(1.0 - jnp.abs(0.5 + points / 10.0) % 2.0)


@pytest.mark.parametrize("name", ["CMA_ES", "PGPE", "DifferentialEvolution", "PSO"])
def test_rows_are_those_of_evosax_driven_by_hand(name) -> None:
    search = EvosaxSearch(strategy=name, batch_size=8)
    state = begun(search, 5)
    salt = jax.random.wrap_key_data(state.salt, impl="threefry2x32")
    rows = []
    for _ in range(5):
        proposal, state = generation(search, state)
        rows.append(np.asarray(proposal.x))
    keys = [jax.random.split(jax.random.fold_in(salt, n)) for n in range(5)]
    with as_evosax_has_it():
        hand = evosax.algorithms.algorithms[name](
            population_size=8, solution=jnp.zeros(3)
        )
        population = hasattr(hand, "get_population")
        params = hasty_jit(lambda: hand.default_params)()
        points = jnp.asarray(10.0 * (rows[0] - 0.5))
        if population:
            own = hand.init(keys[0][1], points, away(unit(points)), params)
        else:
            own = hand.init(keys[0][1], jnp.zeros(3), params)
        for number in range(1 if population else 0, 5):
            points, own = hand.ask(keys[number][0], own, params)
            x = unit(points)
            np.testing.assert_allclose(rows[number], x, rtol=0, atol=1e-4)
            points = 10.0 * (x - 0.5) if population else points
            own, _ = hand.tell(keys[number][1], points, away(x), own, params)


ODD = ("GuidedES", "LGA", "LM_MA_ES", "PersistentES", "RandomSearch", "SV_CMA_ES")
"""What has NaN in its state, or asks for more, or begins with several means."""


@pytest.mark.parametrize(
    "name",
    [*ODD, *(pytest.param(n, marks=pytest.mark.slow) for n in NAMES if n not in ODD)],
)
def test_every_strategy_of_evosax_keeps_the_shape_of_its_state(name) -> None:
    """Traced, not run."""
    settings = {"num_populations": 2} if name.startswith("SV_") else {}
    search = EvosaxSearch(strategy=name, batch_size=8, settings=settings)
    geometry = GEOMETRIES["mixed"]
    key = jax.eval_shape(lambda: jax.random.key(0))
    state = jax.eval_shape(lambda key: search.init(key, geometry), key)
    proposal = jax.eval_shape(search.ask, key, state)
    assert proposal.x.shape == (8, 5)
    told = jax.eval_shape(search.tell, state, jax.eval_shape(pending, proposal))
    for before, after in zip(
        jax.tree.leaves(state), jax.tree.leaves(told), strict=True
    ):
        assert (before.shape, before.dtype) == (after.shape, after.dtype)
        assert before.weak_type == after.weak_type
    assert jax.tree.structure(state) == jax.tree.structure(told)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_strategy_of_evosax_searches(name) -> None:
    """The numbers of its state stay finite, whatever fails, and it keeps moving."""
    settings = {"num_populations": 2} if name.startswith("SV_") else {}
    search = EvosaxSearch(strategy=name, batch_size=8, settings=settings)
    state, last = begun(search), None
    for number in range(12):
        failed = (np.arange(8) + number) % 3 == 0 if number % 4 else np.ones(8, bool)
        status = np.where(failed, Status.FAILED, Status.COMPLETE)
        proposal, state = generation(search, state, status=status)
        # Where nothing was learnt, one strategy draws the noise that it keeps again.
        if name != "NoiseReuseES" or number % 4 != 1:
            assert not np.array_equal(proposal.x, last)
        last = np.asarray(proposal.x)
        for leaf in jax.tree.leaves(state):
            if jnp.issubdtype(leaf.dtype, jnp.floating):
                assert not np.isnan(np.asarray(leaf)).any()
    assert int(state.asked) == 12


@pytest.mark.parametrize("name", ["SNES", "DifferentialEvolution"])
def test_a_search_by_evosax_beats_random_search(name) -> None:
    """320 trials of a tilted valley, in whole searches over six paired seeds."""

    def valley(x, key):
        across = x - 0.6
        return -jnp.log10(
            50.0 * (across[0] - across[1]) ** 2 + jnp.sum(across**2) + 1e-9
        )

    def best(search, key):
        found = et.study.simulate(search, valley, BOX, key, generations=20)
        return found.fitness.max()

    keys = jax.vmap(jax.random.key)(jnp.arange(6))
    ours, random = (
        np.asarray(hasty_jit(jax.vmap(functools.partial(best, search)))(keys))
        for search in (
            EvosaxSearch(strategy=name, batch_size=16),
            et.RandomSearch(batch_size=16),
        )
    )
    assert (ours > random + 1.0).all(), f"{ours} {random}"


def test_a_study_tunes_by_evosax_and_resumes(tmp_path) -> None:
    task = et.tasks.Function(lambda hp: (hp.x - 0.7) ** 2 + 0.1 * jnp.log10(hp.y) ** 2)
    space = et.Space(x=et.Float(0.0, 1.0), y=et.Float(1e-3, 1e3, log=True))

    def tuned(generations, **stored):
        return et.tune(
            task,
            space,
            algorithm=EvosaxSearch(strategy=evosax.algorithms.SNES, batch_size=8),
            generations=generations,
            seed=2,
            progress=False,
            **stored,
        )

    whole = tuned(8)
    assert whole.best_value < 0.05
    tuned(3, storage=tmp_path, study_name="cut")
    resumed = tuned(8, storage=tmp_path, study_name="cut", resume=True)
    assert [t.params for t in resumed.trials] == [t.params for t in whole.trials]


def test_a_failed_child_never_takes_its_parents_place() -> None:
    search = EvosaxSearch(strategy="DifferentialEvolution", batch_size=8)
    _, state = generation(search, begun(search, 1))
    before = state.strategy
    failed = np.arange(8) % 2 == 0
    status = np.where(failed, Status.DIVERGED, Status.COMPLETE)
    _, state = generation(search, state, losses=np.full(8, -1.0), status=status)
    after = state.strategy.population
    np.testing.assert_array_equal(after[failed], before.population[failed])
    assert (np.asarray(after)[~failed] != np.asarray(before.population)[~failed]).all()


@pytest.mark.parametrize("name", ["SNES", "PSO"])
def test_nothing_is_learnt_where_all_have_failed(name) -> None:
    search = EvosaxSearch(strategy=name, batch_size=8)
    start = begun(search, 1)
    first, state = generation(search, start, status=Status.FAILED)
    same = zip(
        jax.tree.leaves(start.strategy), jax.tree.leaves(state.strategy), strict=True
    )
    assert all(np.array_equal(a, b) for a, b in same)
    second, state = generation(search, state)
    assert not np.array_equal(first.x, second.x)
    assert second.trial.tolist() == list(range(8, 16))
    assert bool(state.begun)


def test_generations_asked_for_ahead_are_learnt_from_as_they_come() -> None:
    search = EvosaxSearch(strategy="SNES", batch_size=8)
    _, ask, tell = compiled(search)
    state = begun(search)
    asked = []
    for _ in range(2):
        asked.append(ask(jax.random.key(0), state))
        state = tell(state, pending(asked[-1]))
    assert int(state.strategy.generation_counter) == 0
    for number, proposal in enumerate(reversed(asked)):
        state = tell(state, finish(proposal, -np.asarray(away(proposal.x))))
        assert int(state.strategy.generation_counter) == number + 1
    again = tell(state, finish(asked[0], 1.0))
    assert int(again.strategy.generation_counter) == 2


def test_a_generation_may_be_handed_out_in_portions() -> None:
    search = EvosaxSearch(strategy="SNES", batch_size=8)
    study = et.Study(
        et.Space(x=et.Float(0.0, 1.0), y=et.Float(0.0, 1.0), z=et.Float(0.0, 1.0)),
        algorithm=search,
    )
    for _ in range(4):
        trials = study.ask(4)
        study.tell(trials, [trial["x"] for trial in trials])
    state = study._ledger.search.state()
    assert int(state.strategy.generation_counter) == 2
    assert int(state.asked) == 2


def test_trials_of_others_are_counted_and_not_learnt_from() -> None:
    search = EvosaxSearch(strategy="SNES", batch_size=8)
    _, ask, tell = compiled(search)
    state = begun(search)
    proposal = ask(jax.random.key(0), state)
    foreign = dataclasses.replace(
        finish(proposal, 1.0), trial=proposal.trial + 100, x=proposal.x * 0.5
    )
    state = tell(state, foreign)
    assert int(state.strategy.generation_counter) == 0
    again = ask(jax.random.key(0), state)
    assert again.trial.tolist() == list(range(108, 116))
    np.testing.assert_array_equal(again.x, proposal.x)


def test_an_enqueued_configuration_takes_the_place_of_a_row() -> None:
    search = EvosaxSearch(strategy="PSO", batch_size=8)
    _, ask, tell = compiled(search)
    state = begun(search)
    proposal = ask(jax.random.key(0), state)
    changed = dataclasses.replace(proposal, x=proposal.x.at[3].set(0.37))
    state = tell(state, pending(changed))
    state = tell(state, finish(changed, -np.asarray(away(changed.x))))
    np.testing.assert_allclose(state.strategy.population[3], -1.3, rtol=1e-5)
    np.testing.assert_allclose(state.strategy.best_solution, -1.3, rtol=1e-5)


def test_a_generation_may_come_row_by_row() -> None:
    search = EvosaxSearch(strategy="SNES", batch_size=8)
    _, _, tell = compiled(search)
    start = begun(search)
    proposal, whole = generation(search, start)
    state = tell(start, pending(proposal))
    outcome = finish(proposal, -np.asarray(away(proposal.x)))
    for row in (5, 0, 7, 1, 6, 2, 4, 3):
        state = tell(state, part(outcome, np.arange(8) == row))
    for a, b in zip(jax.tree.leaves(whole), jax.tree.leaves(state), strict=True):
        np.testing.assert_array_equal(a, b)


def test_settings_reach_the_class_the_parameters_and_the_elite_ratio() -> None:
    narrow = EvosaxSearch(
        strategy="SNES", batch_size=8, settings={"std_init": 0.01, "elite_ratio": 0.25}
    )
    x = compiled(narrow)[1](jax.random.key(0), begun(narrow)).x
    # A hundredth of a unit, of which the box has ten along each side.
    assert np.abs(np.asarray(x) - 0.5).max() < 0.005
    spread = EvosaxSearch(strategy="SNES", batch_size=8, width=2.0)
    x = compiled(spread)[1](jax.random.key(0), begun(spread)).x
    assert np.abs(np.asarray(x) - 0.5).max() > 0.25


def adam_es(population_size, solution):
    return evosax.algorithms.Open_ES(
        population_size, solution, optimizer=optax.adam(0.3)
    )


def test_a_function_makes_what_settings_cannot_say() -> None:
    search = EvosaxSearch(strategy=adam_es, batch_size=16)
    assert "adam_es" in repr(search)
    assert "0x" not in repr(search)
    state = begun(search)
    for _ in range(25):
        _, state = generation(search, state)
    mean = np.asarray(state.strategy.mean) / 10.0 + 0.5
    assert np.abs(mean - 0.37).max() < 0.08


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"strategy": "CMAES"}, "Did you mean 'CMA_ES'"),
        ({"strategy": "Open_ES", "batch_size": 7}, "Population size must be even"),
        ({"settings": {"std_int": 1.0}}, "Did you mean 'std_init'"),
        ({"settings": {"std_init": jnp.ones(2)}}, "must be numbers, words or tuples"),
        ({"strategy": "SV_CMA_ES"}, "num_populations"),
        (
            {
                "strategy": "SV_CMA_ES",
                "settings": {"num_populations": 3},
                "batch_size": 8,
            },
            "multiple of `num_populations`",
        ),
        ({"batch_size": 0}, "batch_size"),
        ({"width": 0.0}, "width"),
        ({"strategy": 3}, "must be the name of a strategy"),
    ],
)
def test_wrong_settings_are_named(settings, words) -> None:
    with pytest.raises(ValueError, match=words):
        EvosaxSearch(**settings)


def test_a_strategy_that_is_made_is_refused_with_the_way_out() -> None:
    with as_evosax_has_it():
        made = evosax.algorithms.PSO(population_size=8, solution=jnp.zeros(2))
    with pytest.raises(ValueError, match="strategy='PSO'"):
        EvosaxSearch(strategy=made)
