"""How many programs a population is spread over, and what that costs."""

from __future__ import annotations

import numpy as np
import pytest

import evotune as et


@pytest.fixture(scope="module")
def task() -> et.Task:
    return et.tasks.Classification(et.datasets.digits(), model=et.models.MLP())


@pytest.fixture(scope="module")
def mixed() -> et.Space:
    """All that the MLP and its training mix without a program of its own."""
    return et.Space(
        learning_rate=et.Float(1e-4, 1e-1, log=True),
        schedule=et.Categorical(
            ["constant", "linear", "step", "exponential", "cosine", "one_cycle"]
        ),
        width=et.Int(16, 256, log=True),
        depth=et.Int(1, 4),
        activation=et.Categorical(
            ["relu", "leaky_relu", "elu", "gelu", "silu", "tanh", "selu"]
        ),
        norm=et.Categorical(["none", "batch", "layer"]),
        dropout=et.Float(0.0, 0.5),
    )


@pytest.mark.parametrize("most", [1, 2, 4, 6, 9])
def test_sizes_are_spread_over_no_more_programs_than_asked(task, mixed, most):
    plan = et.plan(task, mixed, n_trials=1_000, max_programs=most)
    assert 1 <= len(plan.programs) <= most
    assert sum(program.share for program in plan.programs) == pytest.approx(1.0)


def test_more_programs_pad_less(task, mixed):
    plans = [
        et.plan(task, mixed, n_trials=1_000, max_programs=most) for most in (1, 4, 6)
    ]
    seconds = [sum(p.share * p.seconds for p in plan.programs) for plan in plans]
    assert seconds == sorted(seconds, reverse=True), seconds


def test_a_short_search_compiles_less(task, mixed):
    short, long = (et.plan(task, mixed, n_trials=count) for count in (16, 10_000))
    assert len(short.programs) < len(long.programs)


def test_every_member_has_a_program_that_holds_it(task, mixed):
    plan = et.plan(task, mixed, n_trials=1_000, max_programs=4)
    x = np.random.default_rng(0).random((200, len(mixed.names))).astype(np.float32)
    for params in mixed.params(x):
        program = plan.programs[plan.program_for(params)]
        assert all(params[name] <= size for name, size in program.capacity.items())


def test_static_values_need_a_program_each_all_the_same(task):
    space = et.Space(
        width=et.Int(16, 64), batch_size=et.Categorical([16, 32, 64]), epochs=2
    )
    assert len(et.plan(task, space, n_trials=1_000, max_programs=1).programs) == 3


@pytest.mark.parametrize("wrong", [0, 1.5, True])
def test_the_number_is_checked(task, mixed, wrong):
    with pytest.raises(ValueError, match="max_programs must be an integer"):
        et.plan(task, mixed, max_programs=wrong)


def test_a_population_of_all_that_mixes_trains_in_four_programs(
    task, mixed, count_compiles
):
    space = et.Space({**mixed.dimensions, "epochs": 1})
    algorithm = et.RandomSearch(batch_size=64)
    with count_compiles() as compiles:
        result = et.tune(
            task,
            space,
            algorithm=algorithm,
            n_trials=64,
            max_programs=4,
            progress=False,
        )
    trained = {n: c for n, c in compiles.items() if n.startswith("train")}
    assert trained == {program.name: 1 for program in result.plan.programs}
    assert len(trained) <= 4
    assert {trial.state.name for trial in result.trials} <= {"COMPLETE", "FAIL"}
    mixes = {"schedule": 6, "activation": 7, "norm": 3, "depth": 4}
    for name, options in mixes.items():
        assert len({trial.params[name] for trial in result.trials}) == options
