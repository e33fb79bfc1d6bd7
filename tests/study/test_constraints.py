"""Forbidden configurations are never handed out, whoever searches."""

from __future__ import annotations

import dataclasses
import itertools

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import evotune as et
from evotune import algorithms as ea
from evotune._contracts import EMPTY, Status, fresh
from evotune._errors import HyperparameterError
from evotune.space import Categorical, Float, Forbidden, Int, Ordinal, Space
from evotune.study import Study, TrialState, create_trial
from evotune.study._redraw import ATTEMPTS, redrawn
from tests.study.fakes import FakeEngine, MiniSearch, checksum, facts, make_space

RULES = ["width < 40 or activation == 'tanh'", "learning_rate * width < 1"]
SPACE = Space({**make_space().dimensions, **make_space().constants}, constraints=RULES)


def keeps(trial) -> bool:
    p = trial.params
    small = p["width"] < 40 or p["activation"] == "tanh"
    return small and p["learning_rate"] * p["width"] < 1


SEARCHES = {
    "random": ea.RandomSearch(batch_size=8),
    "genetic": ea.GeneticAlgorithm(population_size=8, history_size=64, surrogate=None),
    "surrogate": ea.GeneticAlgorithm(
        population_size=8,
        history_size=64,
        surrogate=ea.Surrogate(
            candidates=32, shortlist=12, trials=24, fitted=12, steps=2
        ),
    ),
    "sobol": ea.QuasiRandomSearch(batch_size=8),
    "cma": ea.CMAES(batch_size=8),
    "differential": ea.DifferentialEvolution(population_size=8),
}


@pytest.mark.parametrize("name", SEARCHES)
def test_nothing_forbidden_is_ever_trained(name):
    study = Study(SPACE, algorithm=SEARCHES[name], direction="maximize")
    engine = FakeEngine(SPACE)
    study.run(engine, n_trials=26, progress=False)
    assert len(study) == len(engine.submitted) == 26, "refused rows cost nothing"
    assert all(map(keeps, study.trials))
    assert study.stopped_by == "n_trials"


def test_an_unconstrained_study_is_as_it_was(make_study, space):
    study, loose = (
        make_study(),
        Study(
            Space({**space.dimensions, **space.constants}, constraints=["width > 0"]),
            algorithm=MiniSearch(),
            direction="maximize",
        ),
    )
    for each in (study, loose):
        each.run(FakeEngine(space), generations=3, progress=False)
    assert facts(study) == facts(loose), "a rule that nobody breaks changes no bit"
    assert checksum(study) == checksum(loose)


def test_a_random_search_is_uniform_over_what_is_allowed():
    space = Space(x=Float(0, 1), y=Float(0, 1), constraints=["x + y < 0.5"])
    study = Study(space, algorithm=ea.RandomSearch(batch_size=64))
    trials = study.ask(256)
    assert [trial.number for trial in trials] == list(range(256)), "none was given up"
    total = [trial["x"] + trial["y"] for trial in trials]
    assert max(total) < 0.5
    # the share of the triangle x + y < t is (t / 0.5)^2
    assert stats.kstest(np.square(np.divide(total, 0.5)), "uniform").pvalue > 1e-3
    assert len({(trial["x"], trial["y"]) for trial in trials}) == 256


def test_a_grid_visits_every_allowed_point_once_and_no_other():
    space = Space(
        a=Int(1, 6),
        b=Int(1, 6),
        kind=Categorical(["u", "v"]),
        constraints=["a * b <= 12", Forbidden(kind="v", a=[1, 2])],
    )
    study = Study(space, algorithm=et.GridSearch(batch_size=8))
    while trials := study.ask(8):
        study.tell(trials, [float(trial["a"]) for trial in trials])
    expected = {
        (a, b, kind)
        for a, b, kind in itertools.product(range(1, 7), range(1, 7), "uv")
        if a * b <= 12 and not (kind == "v" and a <= 2)
    }
    got = [tuple(trial.params.values()) for trial in study.trials]
    assert len(got) == len(expected)
    assert set(got) == expected


def test_a_killed_study_goes_on_with_the_same_bits(tmp_path):
    def study(name, **options):
        return Study(
            SPACE,
            algorithm=MiniSearch(),
            direction="maximize",
            storage=tmp_path,
            study_name=name,
            **options,
        )

    whole = study("whole")
    whole.enqueue_trial({"width": 60})
    whole.run(FakeEngine(SPACE), generations=4, progress=False)
    with study("killed") as killed:
        killed.enqueue_trial({"width": 60})
        killed.run(FakeEngine(SPACE), n_trials=13, progress=False)
    with study("killed", resume=True) as again:
        again.run(FakeEngine(SPACE), generations=4, progress=False)
    assert [fact[:5] for fact in facts(again)] == [fact[:5] for fact in facts(whole)]
    loaded = Study.load(tmp_path, "whole")
    assert facts(loaded) == facts(whole)
    assert loaded.space == SPACE
    assert all(map(keeps, whole.trials))


def test_what_cannot_be_recorded_is_refused_before_anything_is_written(tmp_path):
    space = Space(x=Float(0, 1), constraints=[lambda c: c["x"] < 0.5])
    assert Study(space, algorithm=MiniSearch()).ask()["x"] < 0.5
    with pytest.raises(et.SpaceError, match="Write it as text"):
        Study(space, storage=tmp_path)
    assert not list(tmp_path.iterdir())


def test_another_constraint_is_another_study(tmp_path):
    options = {"algorithm": MiniSearch(), "storage": tmp_path, "direction": "maximize"}
    with Study(SPACE, **options) as study:
        study.tell(study.ask(), 1.0)
    other = Space({**SPACE.dimensions, **SPACE.constants}, constraints=RULES[:1])
    with pytest.raises(et.JournalError, match=r"another space: 'constraints'"):
        Study(other, resume=True, **options)


def test_asking_one_by_one_is_asking_for_all():
    one, many = (Study(SPACE, algorithm=MiniSearch()) for _ in range(2))
    for _ in range(3):
        batch = many.ask(8)
        many.tell(batch, [trial["learning_rate"] for trial in batch])
        single = [one.ask() for _ in range(8)]
        for trial in single:
            one.tell(trial, trial["learning_rate"])
    assert facts(one) == facts(many)
    assert checksum(one) == checksum(many)


def test_enqueued_trials_are_completed_so_that_they_are_allowed():
    study = Study(SPACE, algorithm=MiniSearch())
    study.enqueue_trial({"width": 64})
    study.enqueue_trial({"width": 64, "activation": "tanh"})
    study.enqueue_trial({"width": 20, "activation": "relu", "learning_rate": 0.01})
    trials = study.ask(3)
    assert all(map(keeps, trials))
    assert [trial["width"] for trial in trials] == [64, 64, 20]
    assert trials[0]["activation"] == "tanh", "else it would be forbidden"
    for params in (
        {"width": 64, "activation": "relu"},
        {"width": 64, "learning_rate": 0.1},
    ):
        with pytest.raises(HyperparameterError, match=r"that has .*'width': 64"):
            study.enqueue_trial(params)


def test_forbidden_trials_cannot_be_added():
    study = Study(SPACE, algorithm=MiniSearch())
    good = {"width": 20, "activation": "relu", "learning_rate": 0.01}
    study.add_trial(create_trial(params=good, value=1.0))
    with pytest.raises(HyperparameterError, match="must keep the constraints"):
        study.add_trial(create_trial(params={**good, "width": 50}, value=0.0))
    assert study.best_params == good


def heads(hp):
    """Needs plain integers, and fails where the constraint is broken."""
    if hp.width % hp.heads:
        raise ValueError(f"{hp.heads} heads do not divide {hp.width}")
    return jnp.sum(jnp.ones((hp.heads, hp.width // hp.heads))) * (hp.rate - 0.5) ** 2


def test_a_task_that_fails_on_forbidden_values_is_never_asked_for_them():
    """Neither while bindings are looked for, nor when programs are planned."""
    space = Space(
        rate=Float(0, 1),
        width=Categorical([4, 6]),
        heads=Ordinal([2, 4]),
        constraints=["width % heads == 0"],
    )
    result = et.tune(
        et.tasks.Function(heads),
        space,
        algorithm=ea.RandomSearch(batch_size=8),
        n_trials=24,
        progress=False,
    )
    pairs = {(t.params["width"], t.params["heads"]) for t in result.trials}
    assert pairs == {(4, 2), (4, 4), (6, 2)}
    assert {trial.state for trial in result.trials} == {TrialState.COMPLETE}
    assert len(result.plan.programs) == 3
    assert "constraints=['width % heads == 0']" in repr(result.space)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stubborn(MiniSearch):
    """Proposes one point only, from which a half is forbidden."""

    def ask(self, key, state):
        proposal = super().ask(key, state)
        row = np.arange(self.batch_size) % 2
        x = np.where(row[:, None] == 0, np.float32(0.1), np.float32(0.9))
        return dataclasses.replace(proposal, x=np.broadcast_to(x, proposal.x.shape))


def test_what_cannot_be_drawn_again_is_told_as_diverged_and_costs_nothing(monkeypatch):
    space = Space(x=Float(0, 1), y=Float(0, 1), constraints=["x < 0.5"])
    study = Study(space, algorithm=Stubborn())
    told = []
    search = study._ledger.search
    tell = search.tell
    monkeypatch.setattr(search, "tell", lambda rows: (told.append(rows), tell(rows)))
    trials = study.ask(8)
    assert [trial.number for trial in trials] == [0, 2, 4, 6, 8, 10, 12, 14]
    assert {trial["x"] for trial in trials} == {0.1}
    refused = told[0]
    assert refused.trial.tolist() == [1, 3, 5, 7]
    assert set(refused.status.tolist()) == {Status.DIVERGED}
    assert len(study) == 8
    study.add_trial(create_trial(params={"x": 0.2, "y": 0.2}, value=0.0))
    assert study.trials[-1].number == 16, "refused numbers are not given again"
    states = {trial.state for trial in study.trials}
    assert states == {TrialState.RUNNING, TrialState.COMPLETE}


def test_rows_are_drawn_again_until_they_are_allowed():
    first = fresh(np.array([[0.9], [0.1], [0.8], [0.7]]), np.array([4, 5, EMPTY, 6]))
    first = dataclasses.replace(
        first,
        **{
            f.name: np.asarray(getattr(first, f.name))
            for f in dataclasses.fields(first)
        },
    )
    asked = []

    def again(attempt):
        asked.append(attempt)
        x = np.array([[0.9], [0.2 if attempt > 2 else 0.1], [0.3], [0.95]], np.float32)
        return dataclasses.replace(first, x=x)

    done = redrawn(first, lambda x: x[:, 0] < 0.5, again)
    assert asked[:3] == [1, 2, 3]
    assert done.trial.tolist() == [4, 5, EMPTY, 6]
    assert done.x[:2, 0].tolist() == [np.float32(0.2), np.float32(0.1)]
    assert done.x[3, 0] == np.float32(0.7), "no second point is there for it"
    assert len(asked) == ATTEMPTS

    def continues(attempt):
        x = np.array([[0.1], [0.1], [0.1], [0.4]], np.float32)
        return dataclasses.replace(first, x=x, source=np.array([1, 2, 3, 7], np.int32))

    slots = dataclasses.replace(first, source=np.array([9, 2, 3, 8], np.int32))
    done = redrawn(slots, lambda x: x[:, 0] < 0.5, continues)
    assert done.source.tolist() == [1, 2, 3, 7], "a row comes with all that it is"
    assert done.trial.tolist() == [4, 5, EMPTY, 6]


def test_a_search_that_finds_nothing_allowed_says_so(monkeypatch):
    monkeypatch.setattr("evotune.study._ledger._MOST_REFUSED", 64)
    space = Space(x=Float(0, 1), y=Float(0, 1), constraints=["x > 0.95"])
    study = Study(space, algorithm=Stubborn())
    with pytest.raises(et.SpaceError, match=r"the last 64 .* break \['x > 0.95'\]"):
        study.ask(8)
