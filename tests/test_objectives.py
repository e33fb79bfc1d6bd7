"""Several objectives and constraints, from the task to the report."""

from __future__ import annotations

import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import evotune as et
from evotune import report
from evotune._pareto import hypervolume, nondominated
from evotune.algorithms import NSGA2

BOX = et.Space({f"x{i}": et.Float(0.0, 1.0) for i in range(5)})
LINE = et.Space(x=et.Float(-1.0, 3.0))
SMALL = NSGA2(population_size=8, surrogate=None)


def zdt1(hp):
    """Zitzler, Deb and Thiele (2000): the front is g = 1, f2 = 1 - sqrt(f1)."""
    rest = jnp.stack([hp[f"x{i}"] for i in range(1, 5)])
    g = 1.0 + 9.0 * jnp.mean(rest)
    return hp.x0, g * (1.0 - jnp.sqrt(hp.x0 / g))


def schaffer(hp):
    return {"near": hp.x**2, "far": (hp.x - 2.0) ** 2, "beyond": hp.x - 1.0}


def two_aims(**options):
    aims = {"near": "minimize", "far": "minimize"}
    return et.tasks.Function(schaffer, directions=aims, **options)


def facts(study):
    return [
        (t.number, t.state.name, t.values, tuple(t.params.items()), t.system_attrs)
        for t in study.trials
    ]


@pytest.fixture(scope="module")
def searched():
    return et.tune(
        two_aims(), LINE, algorithm=SMALL, generations=3, seed=1, progress=False
    )


def test_nsga2_finds_more_of_a_front_than_random_search():
    task = et.tasks.Function(zdt1, directions=("minimize", "minimize"))
    volumes = {"NSGA2": [], "RandomSearch": []}
    for seed in range(3):
        for algorithm in (NSGA2(population_size=16), et.RandomSearch(batch_size=16)):
            found = et.tune(
                task,
                BOX,
                algorithm=algorithm,
                generations=16,
                seed=seed,
                progress=False,
            )
            points = -np.asarray([trial.values for trial in found.pareto_trials])
            volume = hypervolume(points, np.asarray([-1.1, -6.0]))
            volumes[type(algorithm).__name__].append(volume)
    gains = np.subtract(volumes["NSGA2"], volumes["RandomSearch"])
    assert np.all(gains > 0), volumes


def test_the_front_is_that_of_all_values(searched):
    values = np.asarray([trial.values for trial in searched.trials])
    front = [trial.number for trial in searched.pareto_trials]
    assert front == np.flatnonzero(nondominated(-values)).tolist()
    assert len(front) > 1
    for trial in searched.trials:
        x = trial.params["x"]
        assert trial.values == pytest.approx((x**2, (x - 2.0) ** 2), abs=1e-5)
        assert trial.value is None
        assert trial.curves["near"][-1] == np.float32(trial.values[0])
    assert searched.objectives == {"near": "minimize", "far": "minimize"}
    assert (searched.metric, searched.direction) == ("near", "minimize")
    assert f"{len(front)} trials that no other dominates" in repr(searched)
    assert f"{len(front)} in the front" in repr(searched.study)


def test_no_single_trial_is_the_best(searched):
    for ask in ("best", "best_params", "best_value", "best_state", "hyperparameters"):
        with pytest.raises(ValueError, match="Use best_trials"):
            getattr(searched, ask)
    for call in (searched.best_model, searched.test_metrics, searched.confirm):
        with pytest.raises(ValueError, match="one objective"):
            call()


def test_frames_have_a_column_for_each_objective(searched):
    frame = searched.trials_dataframe()
    values = [trial.values for trial in searched.trials]
    assert frame[["values_near", "values_far"]].to_numpy().tolist() == [
        list(row) for row in values
    ]
    assert "value" not in frame


def test_states_of_any_trial_are_there(searched):
    front = {trial.number for trial in searched.pareto_trials}
    for trial in searched.trials:
        state = searched.state_of(trial)
        assert float(state["far"]) == np.float32(trial.values[1])
    assert set(searched.study._ledger.best_state.states) == front


def test_default_algorithm_of_several_objectives_is_nsga2():
    found = et.tune(two_aims(), LINE, n_trials=4, progress=False)
    assert found.study.algorithm == NSGA2(objectives=2)
    assert len(found.trials) == 4


@pytest.fixture(scope="module")
def networks():
    """The same random trials, judged by one objective and by three."""
    space = et.Space(
        learning_rate=et.Float(1e-3, 1e-1, log=True),
        width=et.Int(2, 12),
        depth=et.Int(1, 2),
        epochs=2,
    )

    def run(**aims):
        task = et.tasks.Classification(
            et.datasets.wine(), model=et.models.MLP(), **aims
        )
        search = et.RandomSearch(batch_size=6)
        options = {"algorithm": search, "generations": 2, "progress": False}
        return et.tune(task, space, **options)

    three = ["accuracy", "parameters", "multiply_adds"]
    return run(), run(objectives=three, constraints={"parameters": 200})


def test_sizes_as_objectives_change_no_training(networks):
    one, three = networks
    assert one.plan.to_json() == three.plan.to_json()
    for alone, judged in zip(one.trials, three.trials, strict=True):
        assert alone.params == judged.params
        assert alone.value == judged.values[0]
        for name, curve in alone.curves.items():
            assert curve.tobytes() == judged.curves[name].tobytes()


def test_parameters_are_those_of_the_network_that_is_handed_out(networks):
    _, found = networks
    widths = set()
    for trial in found.trials:
        _, variables = found.model_of(trial)
        size = sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))
        kernels = [a for a in jax.tree.leaves(variables["params"]) if a.ndim == 2]
        assert trial.values[1:] == (size, sum(kernel.size for kernel in kernels))
        over = trial.system_attrs["constraints"][0]
        assert over == pytest.approx((size - 200) / 200, abs=1e-6)
        widths.add(trial.params["width"])
    assert len(widths) > 2
    feasible = [trial for trial in found.trials if trial.values[1] <= 200]
    assert 0 < len(feasible) < len(found.trials)
    points = np.asarray([t.values for t in feasible]) * [1, -1, -1]
    expected = [
        t for t, lead in zip(feasible, nondominated(points), strict=True) if lead
    ]
    assert found.pareto_trials == expected


def test_a_state_that_was_not_kept_is_trained_again_to_the_same_bits(networks):
    _, found = networks
    trial = found.pareto_trials[0]
    kept = found.state_of(trial)
    found.study._ledger.best_state.states.clear()
    again = found.state_of(trial.number)
    assert jax.tree.all(jax.tree.map(np.array_equal, kept, again))
    scores = found.test_metrics(trial)
    assert 0.0 <= scores["test_accuracy"] <= 1.0


def test_constraints_come_before_objectives():
    found = et.tune(
        two_aims(constraints=["beyond"]),
        LINE,
        algorithm=SMALL,
        generations=3,
        seed=1,
        progress=False,
    )
    assert found.study.constraints == ("beyond <= 0",)
    for trial in found.trials:
        (over,) = trial.system_attrs["constraints"]
        assert over == pytest.approx(trial.params["x"] - 1.0, abs=1e-5)
    assert all(trial.params["x"] <= 1.0 for trial in found.pareto_trials)
    born = [[t for t in found.trials if t.generation == g] for g in (0, 2)]
    first, last = ([t.params["x"] <= 1.0 for t in some] for some in born)
    assert np.mean(last) > np.mean(first)
    assert report.summary(found).infeasible == sum(
        trial.params["x"] > 1.0 for trial in found.trials
    )


def test_a_study_that_was_killed_goes_on_as_if_it_had_not_been(tmp_path):
    task = two_aims(constraints=["beyond"])

    def run(storage, **options):
        return et.tune(
            task,
            LINE,
            algorithm=SMALL,
            generations=3,
            storage=storage,
            resume=True,
            progress=False,
            **options,
        )

    whole = run(tmp_path / "whole")
    lines = (tmp_path / "whole/study/journal.jsonl").read_bytes().splitlines(True)
    header = json.loads(lines[0])
    assert header["schema_version"] == 2
    assert header["direction"] == ["minimize", "minimize"]
    for cut in (4, len(lines) - 1):
        storage = tmp_path / f"cut-{cut}"
        (storage / "study").mkdir(parents=True)
        torn = b"".join(lines[:cut]) + lines[cut][: len(lines[cut]) // 2]
        (storage / "study/journal.jsonl").write_bytes(torn)
        again = run(storage)
        assert facts(again.study) == facts(whole.study)
        front = [trial.number for trial in again.pareto_trials]
        for number in front:
            assert again.state_of(number) == whole.state_of(number)
    read = et.Study.load(tmp_path / "whole")
    assert facts(read) == facts(whole.study)
    assert read.objectives == whole.objectives
    files = {path.name for path in (tmp_path / "whole/study").glob("best-*")}
    assert files == {f"best-{trial.number}.msgpack" for trial in whole.pareto_trials}
    shutil.rmtree(tmp_path)


def test_one_objective_writes_the_schema_that_older_versions_read(tmp_path):
    study = et.Study(LINE, algorithm=et.RandomSearch(), storage=tmp_path)
    study.tell(study.ask(), 1.0)
    study.close()
    header, *events = (tmp_path / "study/journal.jsonl").read_text().splitlines()
    assert json.loads(header)["schema_version"] == 1
    assert json.loads(header)["direction"] == "minimize"
    assert json.loads(events[-1])["value"] == [1.0]


def test_a_study_by_hand_has_several_values(tmp_path):
    def make():
        return et.Study(
            LINE,
            directions=["minimize", "maximize"],
            algorithm=SMALL,
            storage=tmp_path,
            resume=True,
        )

    study = make()
    trials = study.ask(4)
    study.tell(trials[0], (1.0, 5.0))
    study.tell(trials[1:], [(2.0, 4.0), (0.5, 1), (3.0, float("nan"))])
    study.add_trial(et.create_trial(params={"x": 0.5}, values=(0.75, 6.0)))
    assert study.trials[3].state.name == "FAIL"
    assert study.trials[3].values is None
    assert [trial.number for trial in study.best_trials] == [2, 8]
    frame = study.trials_dataframe()
    assert frame["values_1"].tolist()[:3] == [5.0, 4.0, 1.0]
    assert study.objectives == {"value_0": "minimize", "value_1": "maximize"}
    study.close()
    again = make()
    assert facts(again) == facts(study)
    assert [trial.number for trial in again.best_trials] == [2, 8]
    with pytest.raises(ValueError, match="2 objectives"):
        again.tell(again.ask(), 1.0)
    again.close()
    with pytest.raises(et.JournalError, match="another direction"):
        et.Study(LINE, storage=tmp_path, resume=True)


MISTAKES = {
    "ranks 1 and there are 2": lambda: search(two_aims(), et.GeneticAlgorithm()),
    "ranks 2 and there is 1": lambda: search(et.tasks.Function(lambda hp: hp.x), SMALL),
    r"refine\(\) works on one": lambda: et.refine(two_aims(), LINE, generations=3),
    "'maximize' or": lambda: et.tasks.Function(zdt1, directions=("minimize", "up")),
    "directions by name": lambda: et.tasks.Function(zdt1, constraints=["beyond"]),
    "must be a list": lambda: et.Study(LINE, directions="minimize"),
    "must be 'minimize'": lambda: et.Study(LINE, directions=["minimize", "up"]),
    "got both": lambda: et.create_trial(params={}, value=1.0, values=(1.0, 2.0)),
    "must be a metric": lambda: judged("parameters", "accuracy"),
    "must differ": lambda: judged("accuracy", "accuracy"),
    "'parameters'": lambda: judged("accuracy", "parameter"),
    "Leave `metric` out": lambda: judged("accuracy", "loss", metric="f1_macro"),
    "largest value": lambda: judged("accuracy", constraints={"parameters": "few"}),
    "tuple of 2": lambda: search(
        et.tasks.Function(lambda hp: (hp.x,) * 3, directions=("minimize",) * 2)
    ),
    "dict with far, near": lambda: search(
        et.tasks.Function(
            lambda hp: {"near": hp.x},
            directions={"near": "minimize", "far": "minimize"},
        )
    ),
}


@pytest.mark.parametrize("words", MISTAKES)
def test_mistakes_are_named(words):
    with pytest.raises(ValueError, match=words):
        MISTAKES[words]()


def judged(*objectives, **options):
    return et.tasks.Classification(et.datasets.wine(), objectives=objectives, **options)


def search(task, algorithm=None):
    return et.tune(task, LINE, algorithm=algorithm, n_trials=1, progress=False)


def test_an_objective_that_nobody_knows_is_named_before_anything_compiles():
    class Odd(et.Task):
        metric, direction = "height", "minimize"
        objectives = {"height": "minimize", "weight": "minimize"}  # noqa: RUF012

        def init(self, hp):
            return hp.x

        def step(self, state):
            return state

        def evaluate(self, state):
            return {"height": state}

    with pytest.raises(ValueError, match="no objective or constraint 'weight'"):
        et.tune(Odd(), LINE, n_trials=1, progress=False)


def test_the_best_epoch_is_that_of_the_first_objective():
    class Falling(et.Task):
        metric, direction, epochs = "up", "maximize", 3
        objectives = {"up": "maximize", "count": "maximize"}  # noqa: RUF012

        def init(self, hp):
            return jnp.zeros(())

        def step(self, state):
            return state + 1.0

        def evaluate(self, hp, state):
            return {"up": -((state - 2.0) ** 2) + 0.0 * hp.x, "count": state}

    for value, expected in (("best", (0.0, 2.0)), ("last", (-1.0, 3.0))):
        found = et.tune(Falling(), LINE, n_trials=2, value=value, progress=False)
        assert {trial.values for trial in found.trials} == {expected}


def test_reports_show_fronts_of_any_number_of_objectives(searched, networks, tmp_path):
    page = report.html(searched, tmp_path / "two.html").read_text()
    assert "Pareto front" in page
    assert "Hypervolume" in page
    assert "to minimize near and minimize far" in page
    data = report.pareto_front(searched)
    assert data.number[data.is_front].tolist() == [
        trial.number for trial in searched.pareto_trials
    ]
    growth = report.hypervolumes(searched)
    assert np.all(np.diff(growth.volume) >= 0)
    assert growth.trials[-1] == len(searched.trials)
    page = report.html(networks[1], tmp_path / "three.html").read_text()
    assert "infeasible" in page
    assert "validation accuracy" in page
    aims = ["minimize"] * 4
    study = et.Study(LINE, directions=aims, algorithm=et.RandomSearch())
    for trial in study.ask(5):
        study.tell(trial, [trial["x"] * k for k in range(4)])
    assert "Hypervolume" not in report.html(study, tmp_path / "four.html").read_text()
    with pytest.raises(ValueError, match="two objectives or more"):
        report.pareto_front(networks[0])


@pytest.mark.parametrize(
    "algorithm", [SMALL, et.algorithms.QuasiRandomSearch(batch_size=8)]
)
def test_forbidden_configurations_stay_out_of_a_front(algorithm):
    space = et.Space(x=et.Float(-1.0, 3.0), constraints=["x < 0.5 or x > 1.5"])
    task = two_aims(constraints=["beyond"])
    found = et.tune(task, space, algorithm=algorithm, n_trials=24, progress=False)
    assert len(found.trials) == 24
    assert not any(0.5 <= trial.params["x"] <= 1.5 for trial in found.trials)
    assert found.pareto_trials
    assert all(trial.params["x"] < 0.5 for trial in found.pareto_trials)
