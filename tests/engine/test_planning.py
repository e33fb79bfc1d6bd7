"""How many programs a population is spread over, and what that costs."""

from __future__ import annotations

import json

import numpy as np
import pytest

import evotune as et
from evotune.engine import _plan


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


def test_the_plan_shows_operations_and_memory_in_all_and_by_program(task, mixed):
    plan = et.plan(task, mixed, n_trials=1_000, max_programs=3)
    for program in plan.programs:
        epochs = task.epochs
        assert program.flops == pytest.approx(2 * epochs * program.epoch_work)
    by_program = [1_000 * p.share * p.flops for p in plan.programs]
    assert plan.flops == pytest.approx(sum(by_program))
    useful = sum(
        flops * (1 - p.waste)
        for flops, p in zip(by_program, plan.programs, strict=True)
    )
    assert plan.waste == pytest.approx(1 - useful / plan.flops)
    members = [p.member_bytes for p in plan.programs]
    assert members == sorted(members)
    record = json.loads(plan.to_json())
    for name in ("flops", "waste", "run_seconds", "data_bytes", "device_bytes"):
        assert record[name] == getattr(plan, name)
    text = str(plan)
    assert "FLOP, " in text
    assert "of it padding" in text
    assert "a device, data" in text
    assert text.count("iB") >= 2 + 2 * len(plan.programs)


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1010 * 1024, "0.986 MiB"), (3.5 * 2**30, "3.5 GiB")],
)
def test_bytes_have_three_digits(count, text):
    assert _plan._bytes(count) == text


def test_without_known_arithmetic_there_are_no_operations():
    plan = et.plan(et.tasks.Function(lambda hp: hp.x), et.Space(x=et.Float(0.0, 1.0)))
    assert plan.flops == plan.waste == 0.0
    assert "FLOP" not in str(plan)


def test_padded_sizes_that_are_cut_fill_whole_registers(task):
    """A width of 56 takes longer than one of 64; small sizes stay as they are."""
    space = et.Space(width=et.Int(3, 250, log=True), learning_rate=et.Float(1e-4, 0.1))
    plan = et.plan(task, space, n_trials=20_000, generations=None)
    widths = sorted(spec.capacity["width"] for spec in plan.programs)
    assert len(widths) > 2
    assert widths[-1] == 250
    assert all(width % 16 == 0 or width < 16 for width in widths[:-1])


def test_ordinal_choices_are_bound_by_their_values(task):
    """As those of a Categorical: traced, masked and static."""
    options = {
        "learning_rate": [1e-3, 3e-3, 1e-2],
        "width": [16, 32, 96],
        "activation": ["relu", "gelu"],
        "batch_size": [32, 64, 128],
    }
    plans = [
        et.plan(task, et.Space({name: kind(each) for name, each in options.items()}))
        for kind in (et.space.Ordinal, et.Categorical)
    ]
    assert plans[0].bindings == plans[1].bindings
    assert {p.name for p in plans[0].programs} == {p.name for p in plans[1].programs}
    bindings = {name: each.value for name, each in plans[0].bindings.items()}
    assert bindings == {
        "learning_rate": "traced",
        "width": "masked",
        "activation": "masked",
        "batch_size": "static",
    }


def test_no_program_is_planned_for_what_constraints_forbid(task):
    entries = {
        "batch_size": et.Categorical([32, 64, 128]),
        "norm": et.Categorical(["none", "batch"]),
    }
    rules = ["batch_size < 128", et.space.Forbidden(norm="batch", batch_size=32)]
    plan = et.plan(
        task, et.Space(entries, constraints=rules), static=["norm"], max_programs=1
    )
    pairs = {(p.static["batch_size"], p.static["norm"]) for p in plan.programs}
    assert pairs == {(32, "none"), (64, "none"), (64, "batch")}
