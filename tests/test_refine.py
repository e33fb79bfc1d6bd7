"""Rounds in narrower spaces: derived seeds, reused programs, resume, a better end."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import evotune as et

SPACE = et.Space(
    a=et.Float(-1.0, 1.0),
    b=et.Float(-1.0, 1.0),
    c=et.Float(1e-4, 1.0, log=True),
    n=et.Int(0, 8),
)


def valley(hp):
    x = jnp.stack([hp.a - 0.3, hp.b + 0.2, jnp.log10(hp.c) + 2.2])
    return jnp.sum(jnp.square(x)) + 0.01 * jnp.square(jnp.float32(hp.n) - 3.0)


TASK = et.tasks.Function(valley)  # keeps its programs from test to test
QUICK = {"algorithm": et.RandomSearch(batch_size=16), "progress": False}


def recorded(result):
    return [(trial.number, trial.params, trial.value) for trial in result.trials]


def test_rounds_share_programs_and_differ_in_seed_and_space(count_compiles):
    first = et.tune(TASK, SPACE, generations=2, seed=7, **QUICK)
    with count_compiles() as compiles:
        refined = et.refine(TASK, SPACE, generations=6, seed=7, **QUICK)
    names = [program.name for program in first.plan.programs]
    assert not any(compiles[name] for name in names), compiles
    assert recorded(refined.rounds[0]) == recorded(first)
    assert len({result.study.seed for result in refined.rounds}) == 3
    for wide, narrow in zip(refined.rounds, refined.rounds[1:], strict=False):
        for name, dimension in narrow.space.dimensions.items():
            assert wide.space[name].low <= dimension.low
            assert dimension.high <= wide.space[name].high
        assert wide.best_params in narrow.space or refined.best_round is not wide
    assert refined.best_params in refined.rounds[-1].space
    assert refined.best_value == min(result.best_value for result in refined.rounds)
    assert "round 3: 32 trials, best value" in repr(refined)


def test_what_was_decided_is_part_of_the_best_parameters():
    def fn(hp):
        wrong = {"left": 1.0, "right": 0.0}
        return jnp.square(hp.x - 0.5) + wrong[hp.side]

    space = et.Space(side=et.Categorical(["left", "right"]), x=et.Float(-1.0, 1.0))
    task = et.tasks.Function(fn)
    refined = et.refine(task, space, rounds=2, generations=2, quantile=0.1, **QUICK)
    assert refined.rounds[1].space.constants == {"side": "right"}
    assert refined.best_params["side"] == "right"
    assert refined.best_params in space
    over = et.Space(side=et.Categorical(["left", "right"]), x=0.1)
    ended = et.refine(task, over, rounds=3, generations=3, quantile=0.1, **QUICK)
    assert len(ended.rounds) == 1  # all is decided


def test_a_stopped_refinement_resumes_as_if_it_had_not_been(tmp_path):
    def stop_in_second_round(study, trial):
        if study.study_name == "s-round-2" and trial.number == 7:
            study.stop()

    options = {"generations": 6, "seed": 3, "study_name": "s", **QUICK}
    whole = et.refine(TASK, SPACE, **options)
    stopped = et.refine(
        TASK, SPACE, storage=tmp_path, callbacks=[stop_in_second_round], **options
    )
    assert len(stopped.rounds) == 2
    with pytest.raises(et.JournalError):
        et.refine(TASK, SPACE, storage=tmp_path, **options)
    resumed = et.refine(TASK, SPACE, storage=tmp_path, resume=True, **options)
    assert [path.name for path in sorted(tmp_path.iterdir())] == [
        f"s-round-{number}" for number in (1, 2, 3)
    ]
    for result, expected in zip(resumed.rounds, whole.rounds, strict=True):
        assert result.space == expected.space
        assert recorded(result) == recorded(expected)
    again = et.refine(TASK, SPACE, storage=tmp_path, resume=True, **options)
    assert again.best_value == whole.best_value
    with pytest.raises(et.JournalError):  # the third round is of another space
        et.refine(TASK, SPACE, storage=tmp_path, resume=True, shrink=0.9, **options)


def test_a_random_search_ends_better_in_rounds_at_the_same_budget():
    scores = np.asarray(
        [
            [
                search(TASK, SPACE, generations=6, seed=seed, **QUICK).best_value
                for search in (et.tune, et.refine)
            ]
            for seed in range(6)
        ]
    )
    wins = int(np.sum(scores[:, 1] < scores[:, 0]))
    assert wins >= 5, f"tune and refine by seed:\n{scores}"


def test_a_network_is_refined_and_tested(capsys, count_compiles):
    task = et.tasks.Classification(et.datasets.wine(), model=et.models.MLP(width=4))
    space = et.Space(
        learning_rate=et.Float(1e-4, 1e-1, log=True), epochs=2, batch_size=32
    )
    options = {"algorithm": et.RandomSearch(batch_size=8), "rounds": 2}
    with count_compiles() as compiles:
        refined = et.refine(task, space, n_trials=16, **options)
    trained = [name for name in compiles if name.startswith("train")]
    assert [compiles[name] for name in trained] == [1], compiles
    shown = capsys.readouterr().err
    assert "round 1/2: generation 1" in shown
    assert "round 2/2: 8 trials" in shown
    assert 0.0 <= refined.test_metrics()["test_accuracy"] <= 1.0
    assert refined.hyperparameters["epochs"] == 2
    assert refined.best_model() is not None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rounds": 0}, "rounds must be an integer"),
        ({"quantile": 0.0}, "quantile must be a share"),
        ({"shrink": 2.0}, "shrink must be a share"),
        ({"only": ["d"]}, "only names 'd', which is no dimension"),
        ({"generations": 2}, "at least rounds=3, but got 2"),
        ({"n_trials": True}, "at least rounds=3, but got True"),
        ({"generations": None}, "A run needs a budget"),
    ],
)
def test_errors_come_before_anything_is_trained(change, message):
    with pytest.raises(ValueError, match=message):
        et.refine(TASK, SPACE, **{"generations": 6, **QUICK, **change})


def test_rounds_are_kept_where_a_later_one_diverges(monkeypatch):
    calls = []

    def diverging(*arguments, **options):
        calls.append(options["study_name"])
        if len(calls) == 2:
            raise et.AllDivergedError("All 16 members diverged.")
        return et.tune(*arguments, **options)

    monkeypatch.setattr("evotune._refine.tune", diverging)
    with pytest.warns(UserWarning, match=r"(?s)Round 2 of 3.*All 16 members"):
        refined = et.refine(TASK, SPACE, generations=6, seed=7, **QUICK)
    assert calls == ["study-round-1", "study-round-2"]
    assert len(refined.rounds) == 1
    assert len(refined.rounds[0].trials) == 32


def test_a_round_gets_an_equal_part_of_the_time_that_is_left(monkeypatch):
    now, given, spent = [5.0], [], iter((10.0, 100.0, 1.0))

    def timed(*arguments, timeout, **options):
        given.append(timeout)
        now[0] += next(spent)
        return et.tune(*arguments, **{**options, "n_trials": 16})

    monkeypatch.setattr("evotune._refine.tune", timed)
    clock = SimpleNamespace(monotonic=lambda: now[0])
    monkeypatch.setattr("evotune._refine.time", clock)
    refined = et.refine(TASK, SPACE, timeout=90.0, **QUICK)
    # A third of 90 s; half of the 80 s left; nothing is left, but time cannot be 0.
    assert given == [30.0, 40.0, 1e-3]
    assert len(refined.rounds) == 3


NETWORK = {
    "rounds": 2,
    "n_trials": 16,
    "seed": 6,
    "algorithm": et.RandomSearch(batch_size=8),
    "progress": False,
}
KILLED = """
import os, signal, sys
import jax
jax.config.update("jax_num_cpu_devices", 2)
import evotune as et
from tests.test_refine import NETWORK, wine

def kill(study, trial):
    if study.study_name == "study-round-2":
        os.kill(os.getpid(), signal.SIGKILL)

et.refine(*wine(), storage=sys.argv[1], callbacks=[kill], **NETWORK)
"""


def wine():
    """A new task, which knows nothing of what another one has trained."""
    space = et.Space(
        learning_rate=et.Float(1e-3, 1e-1, log=True), epochs=4, batch_size=32
    )
    model = et.models.MLP(width=4, depth=1)
    return et.tasks.Classification(et.datasets.wine(), model=model), space


def test_the_network_of_an_earlier_round_outlives_its_process(tmp_path):
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    root = Path(__file__).parents[1]
    killed = subprocess.run(
        command, cwd=root, capture_output=True, text=True, check=False
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert (tmp_path / "study-round-2").exists()
    whole = et.refine(*wine(), **NETWORK)
    assert whole.best_round is whole.rounds[0], whole
    for _ in range(2):  # goes on with the second round, then reads all of both
        task, space = wine()
        resumed = et.refine(task, space, storage=tmp_path, resume=True, **NETWORK)
        assert recorded(resumed.rounds[0]) == recorded(whole.rounds[0])
        assert recorded(resumed.rounds[1]) == recorded(whole.rounds[1])
        assert resumed.best_round is resumed.rounds[0]
        fitted = resumed.best_model()
        jax.tree.map(
            np.testing.assert_array_equal,
            fitted.variables,
            whole.best_model().variables,
        )
        part = task.splits.validation
        guessed = np.asarray(fitted.predict(part.x)).argmax(axis=1)
        assert np.mean(guessed == part.y) == pytest.approx(resumed.best_value)
        assert resumed.test_metrics() == whole.test_metrics()
