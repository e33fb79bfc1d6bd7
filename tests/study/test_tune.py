"""The facade: one call, one result."""

from __future__ import annotations

import math

import jax
import pytest

import evotune as et
from tests.study.fakes import MiniSearch

SPACE = et.Space(x=et.Float(-2.0, 2.0), y=et.Float(1e-3, 1.0, log=True), shift=0.5)


def bowl() -> et.Task:
    return et.tasks.Function(lambda hp: (hp.x - hp.shift) ** 2 + hp.y)


def tune(task=None, **options):
    defaults = {"algorithm": MiniSearch(batch_size=8), "progress": False}
    return et.tune(task or bowl(), SPACE, **{**defaults, **options})


@pytest.fixture(scope="module")
def result():
    return tune(generations=4)


def test_a_result_has_what_was_found(result):
    assert len(result.trials) == 32
    assert result.best_value == min(trial.value for trial in result.trials)
    assert result.best.params == result.best_params == result.study.best_params
    assert set(result.best_params) == {"x", "y"}
    expected = (result.best_params["x"] - 0.5) ** 2 + result.best_params["y"]
    assert result.best_value == pytest.approx(expected, rel=1e-4)
    assert result.hyperparameters == {**result.best_params, "shift": 0.5}
    assert (result.direction, result.metric) == ("minimize", "value")
    assert set(result.seconds) == {"compile", "train", "search", "total"}
    assert result.seconds["total"] > result.seconds["compile"] > 0
    assert len(result.plan.programs) == 1
    assert float(result.best_state) == pytest.approx(result.best_value)
    assert result.test_metrics() == {}
    assert len(result.trials_dataframe()) == 32
    with pytest.raises(NotImplementedError, match="no model"):
        result.best_model()


def test_a_result_reads_well():
    text = repr(tune(n_trials=20))
    assert text.startswith("Result: 20 trials in 3 generations\n")
    assert "best value " in text
    assert "    x  " in text
    nan = et.tasks.Function(lambda hp: (hp.x + hp.y + hp.shift) * math.nan)
    nothing = repr(tune(nan, n_trials=1))
    assert "1 diverged or failed" in nothing
    assert "no trial is complete" in nothing


def test_stored_searches_resume_bit_for_bit(tmp_path):
    whole = tune(generations=4, seed=3)
    tune(n_trials=13, seed=3, storage=tmp_path)
    again = tune(generations=4, seed=3, storage=tmp_path, resume=True)
    values = [trial.value for trial in whole.trials]
    assert [trial.value for trial in again.trials] == values
    assert (tmp_path / "study" / "journal.jsonl").exists()
    with pytest.raises(et.JournalError, match="resume=True"):
        tune(generations=4, seed=3, storage=tmp_path)
    done = tune(generations=4, seed=3, storage=tmp_path, resume=True)
    assert done.best_value == whole.best_value
    assert float(done.best_state) == pytest.approx(whole.best_value)


def test_bad_input_is_explained_before_anything_compiles(tmp_path, count_compiles):
    def refused(error, match, *arguments, **options):
        defaults = {"generations": 1, "progress": False}
        with pytest.raises(error, match=match):
            et.tune(*(arguments or (bowl(), SPACE)), **{**defaults, **options})

    with count_compiles() as compiles:
        refused(ValueError, "needs a budget", generations=None)
        refused(TypeError, "task first", SPACE, bowl())
        refused(TypeError, "must be a Task", print, SPACE)
        refused(TypeError, "must be a Space", bowl(), {"x": 1.0})
        refused(et.JournalError, "parent", storage=tmp_path / "a" / "b")
        refused(ValueError, "seed", seed=-1)
    assert compiles.total() == 0


def test_plan_shows_what_would_be_compiled(count_compiles):
    bowl_task = bowl()
    with count_compiles() as compiles:
        plan = et.plan(bowl_task, SPACE, algorithm=MiniSearch(), generations=3)
    assert not [name for name in compiles if name.startswith(("train", "_search"))]
    assert plan.trainings == 24
    assert "1 program" in str(plan)


def test_callbacks_and_the_default_algorithm():
    seen = []
    result = et.tune(
        bowl(),
        SPACE,
        n_trials=70,
        seed=1,
        callbacks=[lambda study, trial: seen.append(trial.number)],
        progress=False,
    )
    assert sorted(seen) == list(range(70))
    assert isinstance(result.study.algorithm, et.GeneticAlgorithm)


ALGORITHMS = [
    lambda: et.GeneticAlgorithm(population_size=8),
    lambda: et.RandomSearch(batch_size=8),
    lambda: et.GridSearch(levels=4, batch_size=8),
]


@pytest.mark.parametrize("make", ALGORITHMS, ids=["genetic", "random", "grid"])
def test_every_algorithm_resumes_bit_for_bit(make, tmp_path):
    def values(result):
        return [(t.number, t.value, *t.params.values()) for t in result.trials]

    whole = tune(algorithm=make(), generations=4)
    tune(algorithm=make(), n_trials=11, storage=tmp_path)
    again = tune(algorithm=make(), generations=4, storage=tmp_path, resume=True)
    assert values(again) == values(whole)
    states = [result.study._ledger.search.state() for result in (whole, again)]
    for one, other in zip(*map(jax.tree.leaves, states), strict=True):
        assert one.tobytes() == other.tobytes()


def test_after_the_first_generation_nothing_compiles(count_compiles):
    def compiled(generations):
        with count_compiles() as compiles:
            algorithm = et.GeneticAlgorithm(population_size=12)
            tune(algorithm=algorithm, generations=generations)
        return compiles

    first, more = compiled(1), compiled(4)
    assert first["train"] == more["train"] == 1
    assert more - first == {}


def test_reports_are_written(result, tmp_path):
    path = result.report(tmp_path / "report.html")
    assert "<html" in path.read_text()
    assert result.plot_optimization_history() is not None
    import matplotlib.pyplot as plt

    plt.close("all")
