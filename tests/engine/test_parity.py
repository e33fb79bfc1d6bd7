"""Every member of a mixed population is what a plain Flax and Optax loop trains."""

import jax
import numpy as np
import pytest

from evotune import datasets, models
from evotune._contracts import EMPTY, fresh
from evotune.engine import Engine
from evotune.space import Bool, Categorical, Float, Int, Space
from evotune.tasks import Classification, Hyperparameters
from tests.engine.reference import PlainMLP, member_key, plain_training

SEED = 5


def collect_all(engine):
    """{trial: (value, curves by name, length, state)} of everything pending."""
    found = {}
    while engine.pending:
        finished = engine.collect()
        outcome = finished.outcome
        for row in np.flatnonzero(outcome.trial != EMPTY):
            trial = int(outcome.trial[row])
            curves = {k: v[row] for k, v in finished.metrics.items()}
            found[trial] = (
                float(finished.values[row]),
                curves,
                int(outcome.curve_len[row]),
                engine.member(trial),
            )
    return found


def initial(task, params, trial):
    """The exported initial variables, from which the plain loop starts."""
    init = jax.jit(lambda key: task.init(Hyperparameters(params), key))
    return init(jax.random.fold_in(member_key(SEED, trial), 0))


@pytest.fixture(scope="module")
def task():
    return Classification(datasets.digits(), model=models.MLP())


def space(optimizer, **changes):
    entries = {
        "optimizer": optimizer,
        "learning_rate": Float(1e-4, 1e-3, log=True),
        "l1": Float(1e-6, 1e-4, log=True),
        "l2": Float(1e-6, 1e-4, log=True),
        "label_smoothing": Float(0.0, 0.2),
        "gradient_clip": Float(0.1, 10.0, log=True),
        "batch_size": Categorical([64, 100]),
        "width": Int(4, 40),
        "depth": Int(1, 3),
        "activation": Categorical(["relu", "tanh", "gelu"]),
        "epochs": Int(1, 2),
    }
    if optimizer in ("sgd", "rmsprop"):
        entries |= {"momentum": Float(0.0, 0.9), "nesterov": Bool()}
    else:
        entries |= {"b1": Float(0.8, 0.95), "b2": Float(0.9, 0.999)}
    if optimizer in ("adamw", "lion"):
        entries["weight_decay"] = Float(1e-4, 1e-1, log=True)
    return Space({**entries, **changes})


@pytest.mark.parametrize("optimizer", ["sgd", "rmsprop", "adam", "adamw", "lion"])
def test_every_member_is_what_a_plain_loop_trains(task, optimizer):
    searched = space(optimizer)
    rows = 4
    engine = Engine(task, searched, rows=rows, seed=SEED, trainings=rows)
    draws = np.random.default_rng(1).random((rows, len(searched.names)))
    proposal = fresh(draws.astype(np.float32), np.arange(10, 10 + rows))
    engine.submit(proposal)
    found = collect_all(engine)
    for row, params in enumerate(searched.params(np.asarray(proposal.x))):
        p = {**searched.constants, **params}
        trial = 10 + row
        start = initial(task, p, trial)
        module = PlainMLP(p["width"], p["depth"], p["activation"], 10)
        expected = plain_training(module, start.variables, task.data(), p, seed=SEED)
        _, curves, length, state = found[trial]
        assert length == p["epochs"]
        steps = len(task.splits.train) // p["batch_size"]
        losses = np.reshape(expected["train_loss"], (length, steps)).mean(axis=1)
        np.testing.assert_allclose(curves["train_loss"][:length], losses, rtol=1e-3)
        np.testing.assert_allclose(
            curves["val_loss"][:length], expected["val_loss"], rtol=1e-3, err_msg=str(p)
        )
        exported = task.export(p, state)
        shapes = jax.tree.map(np.shape, exported.variables["params"])
        assert shapes == jax.tree.map(np.shape, expected["params"])


def test_one_step_agrees_to_a_hundred_thousandth(task):
    rows = len(task.splits.train)
    searched = space("sgd", batch_size=rows, epochs=1, momentum=0.9, nesterov=True)
    engine = Engine(task, searched, rows=4, seed=SEED, trainings=4)
    draws = np.random.default_rng(2).random((4, len(searched.names)))
    proposal = fresh(draws.astype(np.float32), np.arange(4))
    engine.submit(proposal)
    found = collect_all(engine)
    for row, params in enumerate(searched.params(np.asarray(proposal.x))):
        p = {**searched.constants, **params}
        start = initial(task, p, row)
        module = PlainMLP(p["width"], p["depth"], p["activation"], 10)
        expected = plain_training(module, start.variables, task.data(), p, seed=SEED)
        variables = task.export(p, found[row][3]).variables
        for got, wanted in zip(
            jax.tree.leaves(variables["params"]),
            jax.tree.leaves(expected["params"]),
            strict=True,
        ):
            np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-6)


def test_results_do_not_depend_on_lanes_blocks_or_company(task):
    searched = space("adamw", batch_size=64)
    draws = np.random.default_rng(3).random((10, len(searched.names)))
    draws = draws.astype(np.float32)
    together = Engine(task, searched, rows=10, seed=SEED, trainings=10)
    together.submit(fresh(draws, np.arange(10)))
    everyone = collect_all(together)
    alone = Engine(task, searched, rows=3, seed=SEED, trainings=10_000)
    order = [7, 2, 9]
    alone.submit(fresh(draws[order], np.asarray(order)))
    for trial, (value, curves, length, _) in collect_all(alone).items():
        assert value == pytest.approx(everyone[trial][0], abs=6e-3)
        np.testing.assert_allclose(
            curves["val_loss"][:length],
            everyone[trial][1]["val_loss"][:length],
            rtol=1e-3,
        )


def test_the_same_submission_gives_the_same_bits(task):
    searched = space("adam", batch_size=64)
    draws = np.random.default_rng(4).random((5, len(searched.names)))
    engines = [Engine(task, searched, rows=5, seed=SEED) for _ in range(2)]
    for engine in engines:
        engine.submit(fresh(draws.astype(np.float32), np.arange(5)))
    first, second = (collect_all(engine) for engine in engines)
    for trial in range(5):
        assert first[trial][0] == second[trial][0]
        jax.tree.map(np.testing.assert_array_equal, first[trial][3], second[trial][3])
