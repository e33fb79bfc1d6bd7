"""Schedules and optimisers differ between the members of one program."""

import jax
import numpy as np
import optax
import pytest

from evotune import datasets, models
from evotune._contracts import EMPTY, Binding, fresh
from evotune._errors import HyperparameterError
from evotune.engine import Engine
from evotune.space import Categorical, Float, Int, Space
from evotune.tasks import Classification, Hyperparameters
from tests.engine.reference import PlainMLP, member_key, plain_training

SEED = 3
BATCH = 20
OPTIMIZERS = ("nesterov", "adamw", "lamb")
SCHEDULES = ("constant", "linear", "step", "exponential", "cosine", "one_cycle")
MIXED = Space(
    optimizer=Categorical(OPTIMIZERS),
    schedule=Categorical(SCHEDULES),
    learning_rate=Float(1e-3, 1e-2, log=True),
    warmup=Float(0.0, 0.4),
    final_learning_rate=Float(0.01, 0.2, log=True),
    weight_decay=Float(1e-3, 1e-1, log=True),
    epochs=Int(2, 4),
    l2=Float(1e-4, 1e-3, log=True),
    l2_schedule=Categorical(["constant", "linear"]),
    batch_size=BATCH,
    width=6,
    depth=1,
)


@pytest.fixture(scope="module")
def task():
    return Classification(datasets.wine(), model=models.MLP())


def trained(engine):
    """{trial: (curves by name, state)} of everything pending."""
    found = {}
    while engine.pending:
        finished = engine.collect()
        for row in np.flatnonzero(finished.outcome.trial != EMPTY):
            trial = int(finished.outcome.trial[row])
            curves = {name: curve[row] for name, curve in finished.metrics.items()}
            found[trial] = curves, engine.member(trial)
    return found


def optax_schedule(p, total):
    """The factor of the learning rate, made of optax's schedules alone."""
    warmup = round(float(np.float32(p["warmup"]) * np.float32(total)))
    rest, final = total - warmup, p["final_learning_rate"]
    after = {
        "constant": lambda: optax.constant_schedule(1.0),
        "linear": lambda: optax.linear_schedule(1.0, final, rest),
        "step": lambda: optax.piecewise_constant_schedule(
            1.0, {int(np.ceil(0.5 * rest)): 0.1, int(np.ceil(0.75 * rest)): 0.1}
        ),
        "exponential": lambda: optax.exponential_decay(
            1.0, rest / 3, 0.1, end_value=final
        ),
        "cosine": lambda: optax.cosine_decay_schedule(1.0, rest, alpha=final),
        "one_cycle": lambda: optax.cosine_onecycle_schedule(
            rest, 1.0, final_div_factor=1 / (25 * final)
        ),
    }[p["schedule"]]()
    if not warmup:
        return after
    return optax.join_schedules(
        [optax.linear_schedule(0.01, 1.0, warmup), after], [warmup]
    )


def optax_optimizer(p, total):
    factor = optax_schedule(p, total)

    def kernels(params):
        return jax.tree.map(lambda w: w.ndim >= 2, params)

    def rate(count):
        return p["learning_rate"] * factor(count)

    decayed = {"weight_decay": p["weight_decay"], "mask": kernels}
    if p["optimizer"] == "nesterov":
        return optax.chain(
            optax.trace(0.9, nesterov=True),
            optax.add_decayed_weights(**decayed),
            optax.scale_by_learning_rate(rate),
        )
    return {"adamw": optax.adamw, "lamb": optax.lamb}[p["optimizer"]](rate, **decayed)


def l2_gradient(p, total):
    """The penalty's gradient, added by hand because its strength changes."""
    falls = p["l2_schedule"] == "linear"
    factor = optax.linear_schedule(1.0, 0.0, total) if falls else lambda count: 1.0

    def update(updates, count, params):
        strength = 2.0 * p["l2"] * factor(count)
        updates = jax.tree.map(
            lambda g, w: g + strength * w if w.ndim >= 2 else g, updates, params
        )
        return updates, count + 1

    return optax.GradientTransformation(lambda params: np.int32(0), update)


def test_six_schedules_and_three_optimizers_train_in_one_program(task, count_compiles):
    rows = len(OPTIMIZERS) * len(SCHEDULES)
    draws = np.random.default_rng(0).random((rows, len(MIXED.names)), np.float32)
    place = {name: column for column, name in enumerate(MIXED.names)}
    draws[:, place["optimizer"]] = (np.arange(rows) % 3 + 0.5) / 3
    draws[:, place["schedule"]] = (np.arange(rows) // 3 + 0.5) / 6
    with count_compiles() as compiles:
        engine = Engine(task, MIXED, rows=rows, seed=SEED, trainings=rows)
        engine.submit(fresh(draws, np.arange(rows)))
        found = trained(engine)
    assert len(engine.plan.programs) == 1
    assert sum(n for name, n in compiles.items() if name.startswith("train")) == 1
    members = [{**MIXED.constants, **params} for params in MIXED.params(draws)]
    seen = {(p["optimizer"], p["schedule"]) for p in members}
    assert len(seen) == rows
    module = PlainMLP(6, 1, "relu", 3)
    init = jax.jit(lambda key: task.init(Hyperparameters(members[0]), key).variables)
    for trial, p in enumerate(members):
        variables = init(jax.random.fold_in(member_key(SEED, trial), 0))
        total = p["epochs"] * (len(task.splits.train) // BATCH)
        with jax.numpy_dtype_promotion("standard"):  # optax is not strict
            tx = optax.chain(l2_gradient(p, total), optax_optimizer(p, total))
            none = {"label_smoothing": 0.0, "l1": 0.0, "l2": 0.0}
            expected = plain_training(
                module, variables, task.data(), {**p, **none}, seed=SEED, tx=tx
            )
        curves, state = found[trial]
        length = p["epochs"]
        losses = np.reshape(expected["train_loss"], (length, -1)).mean(axis=1)
        np.testing.assert_allclose(
            curves["train_loss"][:length], losses, rtol=1e-3, err_msg=str(p)
        )
        got = task.export(p, state).variables["params"]
        jax.tree.map(
            lambda a, b, p=p: np.testing.assert_allclose(
                a, b, rtol=2e-3, atol=2e-4, err_msg=str(p)
            ),
            got,
            expected["params"],
        )


def bindings(task, **entries):
    space = Space(learning_rate=Float(1e-3, 1e-2), epochs=1, **entries)
    return Engine(task, space, rows=4, seed=0).plan.bindings


def test_a_choice_is_masked_unless_members_would_read_what_is_inactive(task):
    options = Categorical(["sgd", "adam", "adamw"])
    assert bindings(task, optimizer=options)["optimizer"] is Binding.MASKED
    harmless = Float(0.0, 0.9, when={"optimizer": "sgd"})  # Adam reads no momentum
    found = bindings(task, optimizer=options, momentum=harmless)
    assert found["optimizer"] is Binding.MASKED
    read = Float(1e-4, 1e-2, when={"optimizer": "adamw"})  # by every optimiser
    found = bindings(task, optimizer=options, weight_decay=read)
    assert found["optimizer"] is Binding.STATIC
    schedule = Categorical(["cosine", "cosine_restarts", "linear"])
    cycles = Int(2, 4, when={"schedule": "cosine_restarts"})
    found = bindings(task, schedule=schedule, cycles=cycles)
    assert found["schedule"] is Binding.MASKED
    other = {"weight_decay": 0.1, "weight_decay_schedule": "cosine_restarts"}
    found = bindings(task, schedule=schedule, cycles=cycles, **other)
    assert found["schedule"] is Binding.STATIC


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"schedule": "cosin"}, "schedule must be one of.*mean 'cosine'"),
        ({"warmup": 5}, r"warmup is a fraction.*\[0, 1\).*warmup_steps.*be 5"),
        ({"warmup": 0.1, "warmup_steps": 3}, "must not both be given"),
        ({"warmup_shape": "linear"}, "must come with a warmup.*`warmup=0.1`"),
        ({"cycles": 3}, "cycles must come with a schedule.*cosine_restarts"),
        ({"schedule": "step", "final_learning_rate": 0.1}, "final_learning_rate must"),
        ({"l1_schedule": "linear"}, "l1_schedule must come with l1.*Add it"),
        ({"schedule": "step", "decay_rate": 2.0}, r"decay_rate must lie in \(0, 1\]"),
        ({"gradient_clip_value": -1.0}, "gradient_clip_value must be above 0.*-1.0"),
        ({"batch_size_scaling": "log"}, "batch_size_scaling must be one of"),
        ({"eps": 0.0}, "eps must be above 0"),
    ],
)
def test_bad_input_is_an_error_with_rule_value_and_fix(task, entries, message):
    space = Space(learning_rate=Float(1e-3, 1e-2), **entries)
    with pytest.raises(HyperparameterError, match=message):
        Engine(task, space, rows=4, seed=0)
