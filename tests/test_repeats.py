"""Trials trained from several seeds at once: what is trained, compiled and reported."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from scipy import stats

import evotune as et
from evotune._contracts import EMPTY, fresh
from evotune.engine import Engine

ROOT = Path(__file__).resolve().parents[1]
REPEATS = 3


def small_task():
    return et.tasks.Classification(et.datasets.wine(), model=et.models.MLP(depth=1))


def small_space():
    return et.Space(
        learning_rate=et.Float(1e-3, 1e-1, log=True),
        patience=et.Int(1, 3),
        width=4,
        batch_size=50,
        epochs=3,
    )


def search(task, **changes):
    settings = {"generations": 2, "seed": 5, "progress": False, **changes}
    algorithm = et.GeneticAlgorithm(population_size=4)
    return et.tune(task, small_space(), algorithm=algorithm, **settings)


@pytest.fixture(scope="module")
def result():
    return search(small_task(), repeats=REPEATS)


def alone(task, trial, x, seed=5):
    """The value and the state of each replica of a trial, nobody training beside it."""
    engine = Engine(task, small_space(), rows=1, seed=seed)
    found = []
    for replica in range(REPEATS):
        engine.submit(fresh(x[None], np.asarray([trial]), np.asarray([replica])))
        while engine.pending:
            finished = engine.collect()
        row = int(np.flatnonzero(finished.outcome.trial != EMPTY)[0])
        found.append((float(finished.values[row]), engine.member(trial, replica)))
    return found


def test_repeats_are_what_each_seed_trains_alone(result):
    assert jax.local_device_count() == 2
    for number in (0, 6):
        trial = result.trials[number]
        found = alone(result.task, number, result.study.coordinates(number))
        np.testing.assert_allclose(
            trial.repeats, [value for value, _ in found], rtol=1e-6
        )
        assert trial.value == np.mean(trial.repeats)
    assert len({value for trial in result.trials for value in trial.repeats}) > 4


def test_the_best_model_is_the_best_of_the_best_trials_networks(result):
    best = result.best
    x = result.study.coordinates(best.number)
    _, state = alone(result.task, best.number, x)[int(np.argmax(best.repeats))]
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6),
        result.task.export(result.hyperparameters, state).variables,
        result.best_model().variables,
    )


ONE_DEVICE = """
import json
import jax
jax.config.update("jax_num_cpu_devices", 1)
from tests.test_repeats import REPEATS, search, small_task
assert jax.local_device_count() == 1
trials = search(small_task(), repeats=REPEATS, generations=1).trials
print(json.dumps([trial.repeats for trial in trials]))
"""


def test_one_device_trains_the_same_as_two(result):
    done = subprocess.run(
        [sys.executable, "-c", ONE_DEVICE],
        cwd=ROOT,
        env={**os.environ, "EVOTUNE_CACHE": "off"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    expected = [trial.repeats for trial in result.trials[:4]]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def noisy_task():
    return et.tasks.Function(lambda hp, key: hp.x + 0.1 * jax.random.normal(key))


def noisy_search(**changes):
    settings = {"generations": 3, "progress": False, **changes}
    algorithm = et.GeneticAlgorithm(population_size=8, surrogate=None)
    space = et.Space(x=et.Float(0.0, 1.0))
    return et.tune(noisy_task(), space, algorithm=algorithm, **settings)


def test_repeats_compile_no_program_of_their_own(count_compiles):
    plain = noisy_search()
    with count_compiles() as compiles:
        repeated = noisy_search(repeats=REPEATS)
    trained = {name: n for name, n in compiles.items() if name.startswith("train")}
    assert trained == {spec.name: 1 for spec in repeated.plan.programs}
    assert [s.name for s in repeated.plan.programs] == [
        spec.name for spec in plain.plan.programs
    ]
    assert not [name for name in compiles if name.startswith("_search")], "same search"
    assert [trial.repeats[0] for trial in repeated.trials[:8]] == [
        trial.value for trial in plain.trials[:8]
    ], "the first repeat is what is trained without repeats"


def test_one_repeat_is_a_search_as_ever():
    plain, one = noisy_search(), noisy_search(repeats=1)
    for before, now in zip(plain.trials, one.trials, strict=True):
        assert (before.value, before.params) == (now.value, now.params)
        assert (now.repeats, now.spread) == ((), None)


def test_a_plan_counts_every_training():
    algorithm = et.GeneticAlgorithm(population_size=16)
    task = et.tasks.Function(lambda hp, key: hp.x + jax.random.normal(key))
    space = et.Space(x=et.Float(0.0, 1.0))
    settings = {"algorithm": algorithm, "generations": 5}
    plain, thrice = (et.plan(task, space, repeats=r, **settings) for r in (1, 3))
    assert (plain.trainings, thrice.trainings) == (80, 240)
    cut = et.plan(task, space, repeats=3, n_trials=7, **settings)
    assert cut.trainings == 21


@pytest.mark.parametrize("repeats", [0, 1.5, "3", True])
def test_a_wrong_number_is_refused_before_anything_compiles(count_compiles, repeats):
    task, space = small_task(), small_space()
    with count_compiles() as compiles:
        for call in (et.tune, et.refine, et.plan):
            with pytest.raises(
                ValueError, match=r"integer of at least 1, but got.*Use"
            ):
                call(task, space, generations=3, repeats=repeats)
    assert compiles.total() == 0


def test_text_and_report_say_what_a_value_is_the_mean_of(result, tmp_path):
    shown = repr(result)
    assert "8 trials of 3 trainings each" in shown
    assert "mean of 3 trainings, standard deviation" in shown
    page = result.report(tmp_path / "report.html").read_text()
    assert "8 trials of 3 trainings each" in page
    assert f"± {result.best.spread:.2g}" in page
    assert "mean of 3" in page
    assert "On fresh seeds" not in page


def test_several_objectives_are_means_and_so_are_constraints():
    def noisy(hp, key):
        a, b, c = jax.random.normal(key, (3,))
        return {"cost": hp.x + 0.1 * a, "gain": hp.x**2 + 0.1 * b, "excess": 0.1 * c}

    task = et.tasks.Function(
        noisy,
        directions={"cost": "minimize", "gain": "maximize"},
        constraints=["excess"],
    )
    space = et.Space(x=et.Float(0.0, 1.0))
    settings = {"generations": 2, "progress": False}
    settings["algorithm"] = et.algorithms.NSGA2(population_size=8, surrogate=None)
    found = et.tune(task, space, repeats=2, **settings)
    feasible = 0
    for trial in found.trials:
        assert np.shape(trial.repeats) == (2, 2)
        assert trial.values == pytest.approx(np.mean(trial.repeats, axis=0))
        feasible += trial.system_attrs["constraints"][0] <= 0.0
    assert 0 < feasible < len(found.trials)
    for trial in found.pareto_trials:
        assert trial.system_attrs["constraints"][0] <= 0.0


def test_refined_rounds_repeat_every_trial():
    task = et.tasks.Function(lambda hp, key: hp.x + jax.random.normal(key))
    refined = et.refine(
        task,
        et.Space(x=et.Float(0.0, 1.0)),
        algorithm=et.RandomSearch(batch_size=4),
        rounds=2,
        generations=2,
        repeats=2,
        progress=False,
    )
    trials = [trial for each in refined.rounds for trial in each.trials]
    assert [len(trial.repeats) for trial in trials] == [2] * 8


SIGMA, TRIALS, SEARCHES = 0.5, 16, 12


def noise_alone(direction):
    """A task whose values are noise: whoever wins a search was lucky, no more."""
    return et.tasks.Function(
        lambda hp, key: 0.0 * hp.x + SIGMA * jax.random.normal(key),
        direction=direction,
    )


def expected_maximum(count: int) -> float:
    """Of ``count`` standard normal numbers, by numerical integration."""
    x = np.linspace(-8.0, 8.0, 20_001)
    density = count * stats.norm.pdf(x) * stats.norm.cdf(x) ** (count - 1)
    return float(np.trapezoid(x * density, x))


def searches_of_noise(direction, repeats):
    """The results of one search for each seed, in one engine's programs."""
    task, space = noise_alone(direction), et.Space(x=et.Float(0.0, 1.0))
    algorithm = et.RandomSearch(batch_size=TRIALS)
    engine = Engine(task, space, rows=TRIALS * repeats)
    settings = {"algorithm": algorithm, "direction": direction, "repeats": repeats}
    for seed in range(SEARCHES):
        study, mine = et.Study(space, seed=seed, **settings), engine.reseeded(seed)
        study.run(mine, n_trials=TRIALS, progress=False)
        yield et.Result(study, task, mine, total_seconds=0.0)


@pytest.mark.parametrize(("direction", "repeats"), [("maximize", 1), ("minimize", 4)])
def test_optimism_is_what_the_formula_says(direction, repeats):
    """E[max of n means] = sigma E[max of n normals] / sqrt(R), and fresh seeds mean 0.

    Each search is one draw of the maximum; fresh seeds add sigma / sqrt(S) to it.
    """
    found = []
    for result in searches_of_noise(direction, repeats):
        confirmed = result.confirm(top_k=2, seeds=TRIALS)
        gap = result.best_value - confirmed.winner.mean
        assert confirmed.winner.number == result.best.number
        assert confirmed.optimism == (gap if direction == "maximize" else -gap)
        found.append(confirmed.optimism)
    expected = SIGMA * expected_maximum(TRIALS) / np.sqrt(repeats)
    error = np.std(found, ddof=1) / np.sqrt(SEARCHES)
    assert abs(np.mean(found) - expected) < 3.5 * error, (found, expected)
    assert error < 0.2 * expected


def test_text_and_report_tell_the_optimism(tmp_path):
    result = et.tune(
        noise_alone("minimize"),
        et.Space(x=et.Float(0.0, 1.0)),
        algorithm=et.RandomSearch(batch_size=TRIALS),
        n_trials=TRIALS,
        progress=False,
    )
    assert result.confirmation is None
    confirmed = result.confirm(top_k=3, seeds=4)
    assert result.confirmation is confirmed
    line = f"winner, trial {result.best.number}: {confirmed.optimism:.3g} (standard"
    assert line in repr(confirmed)
    assert line in repr(result)
    page = result.report(tmp_path / "report.html").read_text()
    assert "On fresh seeds" in page
    for trial in confirmed.trials:
        assert f"{trial.optimism:.3g}" in page
        assert trial.optimism == trial.mean - trial.searched
