"""Permutations through a whole study: orders outside, positions inside the task."""

from __future__ import annotations

import itertools
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen

import evotune as et
from evotune._contracts import Binding
from evotune._errors import HyperparameterError
from evotune.engine import Engine
from evotune.report import parameter_by_generation, parameter_values
from evotune.space import Categorical, Float, Permutation, Space
from evotune.study import cube_fitness, simulate

JOBS = ("wash", "cut", "fry", "plate")
COST = np.random.default_rng(0).random((4, 4)).astype(np.float32)
SPACE = Space(order=Permutation(JOBS), salt=Float(0.0, 1.0))
SEARCH = et.GeneticAlgorithm(population_size=8, surrogate=None)


def cost_of(order: tuple[str, ...]) -> float:
    """What an order costs, on the host."""
    return float(sum(COST[k, JOBS.index(job)] for k, job in enumerate(order)))


def cost(hp) -> jax.Array:
    return jnp.asarray(COST)[jnp.arange(4), hp.order].sum() + hp.salt


def tune(task, space, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of one CPU device
        return et.tune(task, space, seed=0, progress=False, **options)


@pytest.fixture(scope="module")
def result():
    return tune(et.tasks.Function(cost), SPACE, algorithm=SEARCH, generations=4)


def test_a_function_sees_positions_and_the_record_has_items(result) -> None:
    for trial in result.trials:
        order = trial.params["order"]
        assert isinstance(order, tuple)
        assert sorted(order) == sorted(JOBS)
        expected = cost_of(order) + trial.params["salt"]
        assert trial.value == pytest.approx(expected, abs=1e-5)
    assert result.hyperparameters["order"] == result.best_params["order"]
    assert set(result.trials_dataframe()["params_order"].map(type)) == {tuple}


def test_the_report_shows_how_far_orders_are_from_the_best(result) -> None:
    shown = parameter_values(result, "order")
    best = result.best_params["order"]
    pairs = [
        sum(best.index(a) > best.index(b) for a, b in itertools.combinations(o, 2))
        for o in (trial.params["order"] for trial in result.trials)
    ]
    assert shown.parameter.tolist() == pairs
    assert shown.bounds == (0.0, 6.0)
    assert shown.parameter[shown.best] == 0
    assert "reversed" in shown.note
    assert not shown.choices
    assert parameter_by_generation(result, "order").best_value == 0


def test_simulate_finds_what_tune_finds(result) -> None:
    fitness = cube_fitness(et.tasks.Function(cost), SPACE)

    def run(key):
        return simulate(SEARCH, fitness, SPACE.geometry(), key, generations=4)

    best = jnp.asarray(SPACE.encode([result.best_params])[0])
    assert -fitness(best, jax.random.key(0)) == pytest.approx(result.best_value)
    found = jax.jit(jax.vmap(run))(jax.vmap(jax.random.key)(jnp.arange(2)))
    values = [trial.value for trial in result.trials]
    np.testing.assert_allclose(-found.fitness[0].ravel(), values, atol=1e-6)
    assert SPACE.params(found.x[0].reshape(-1, 4)) == [
        trial.params for trial in result.trials
    ]


def test_constraints_on_the_order_are_kept() -> None:
    space = Space(
        order=Permutation(JOBS),
        salt=0.5,
        constraints=["order[0] == 'wash'", "index(order, 'cut') < index(order, 'fry')"],
    )
    found = tune(et.tasks.Function(cost), space, algorithm=SEARCH, generations=2)
    for trial in found.trials:
        order = trial.params["order"]
        assert order[0] == "wash"
        assert order.index("cut") < order.index("fry")


def test_host_code_is_handed_tuples_and_enqueues_them(tmp_path) -> None:
    study = et.Study(SPACE, algorithm=SEARCH, seed=0, storage=tmp_path)
    study.enqueue_trial({"order": ["plate", "fry", "cut", "wash"]})
    study.enqueue_trial({"order": JOBS, "salt": 0.25})
    study.enqueue_trial({"salt": 0.75})
    trials = study.ask(5)
    assert trials[0]["order"] == ("plate", "fry", "cut", "wash")
    assert trials[1].params == {"order": JOBS, "salt": 0.25}
    assert trials[2]["salt"] == 0.75
    study.tell(trials, [cost_of(trial["order"]) for trial in trials])
    other = et.create_trial(params={"order": JOBS[::-1], "salt": 0.0}, value=9.0)
    study.add_trial(other)
    fixed = study.trials[0].system_attrs["fixed_params"]
    assert fixed == {"order": ("plate", "fry", "cut", "wash")}
    with pytest.raises(HyperparameterError, match="'fry' more than once"):
        study.enqueue_trial({"order": ["plate", "fry", "fry", "wash"]})
    study.close()
    again = et.Study(SPACE, algorithm=SEARCH, seed=0, storage=tmp_path, resume=True)
    assert [t.params for t in again.trials] == [t.params for t in study.trials]
    assert len({trial["order"] for trial in again.ask(8)}) > 1


def test_a_grid_visits_every_order_once() -> None:
    space = Space(order=Permutation(JOBS))
    study = et.Study(space, algorithm=et.GridSearch(batch_size=32))
    orders = [trial["order"] for trial in study.ask(24)]
    assert set(orders) == set(itertools.permutations(JOBS))
    assert len(orders) == 24


def test_a_stage_searches_all_axes_of_an_order() -> None:
    search = et.algorithms.StagedSearch(stages=["salt", "order"], trials=8)
    study = et.Study(SPACE, algorithm=search)
    for searched, resting in (("salt", "order"), ("order", "salt")):
        trials = study.ask(8)
        study.tell(trials, [cost_of(t["order"]) + t["salt"] for t in trials])
        assert len({trial[resting] for trial in trials}) == 1
        assert len({trial[searched] for trial in trials}) > 3
    with pytest.raises(ValueError, match="The space has 'order', 'salt'"):
        et.Study(SPACE, algorithm=et.algorithms.StagedSearch(stages=["ordr"]))


class Ordered(linen.Module):
    """Reads a permutation of its four inputs, and the order of its two layers."""

    order: object

    @linen.compact
    def __call__(self, x):
        places = jnp.argsort(jnp.asarray(self.order)).astype(x.dtype)
        return linen.Dense(3)(x[:, :4] * (1.0 + places[None]))


def test_a_users_module_takes_a_traced_order_and_is_exported_with_it() -> None:
    task = et.tasks.Classification(
        et.datasets.wine(), model=lambda hp: Ordered(hp.order)
    )
    space = Space(order=Permutation("abcd"[i] for i in range(4)), epochs=1)
    found = tune(task, space, algorithm=SEARCH, generations=1)
    assert len(found.best_model().predict(et.datasets.wine().x[:2])) == 2
    assert len({trial.value for trial in found.trials}) > 1


def static_model(hp):
    layers = [linen.relu, linen.tanh, linen.LayerNorm(), linen.gelu]
    return linen.Sequential([*(layers[k] for k in hp.order), linen.Dense(3)])


def test_an_order_that_cannot_be_traced_is_a_program_each_if_there_are_few() -> None:
    task = et.tasks.Classification(et.datasets.wine(), model=static_model)
    few = Space(order=Permutation(["relu", "tanh", "norm"]), epochs=1)
    engine = Engine(task, few, rows=4)
    assert engine.plan.bindings["order"] is Binding.STATIC
    assert len(engine.plan.programs) == 6
    many = Space(order=Permutation(range(4)), epochs=1)
    with pytest.raises(HyperparameterError, match=r"'order'.*24 values.*lax.switch"):
        Engine(task, many, rows=4)


def test_a_name_that_the_task_reads_as_one_value_takes_no_order() -> None:
    task = et.tasks.Classification(et.datasets.wine(), model=et.models.MLP())
    space = Space(width=Permutation([8, 16, 32]), epochs=1)
    with pytest.raises(HyperparameterError, match=r"width=Categorical\(\[\.\.\.\]\)"):
        Engine(task, space, rows=4)


def test_cube_fitness_still_refuses_choices_that_are_no_numbers() -> None:
    space = Space(order=Permutation(JOBS), salt=Categorical(["sea", "rock"]))
    with pytest.raises(ValueError, match="numbers, but 'salt'"):
        cube_fitness(et.tasks.Function(cost), space)
