"""What the engine promises, apart from parity."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evotune import datasets, models
from evotune._contracts import Binding, Status, fresh
from evotune._errors import HyperparameterError
from evotune.engine import Engine
from evotune.engine._execution import Execution
from evotune.space import Bool, Categorical, Float, Int, Space
from evotune.tasks import Classification, Function, Hyperparameters, Regression, Task
from tests.engine.test_parity import collect_all


@pytest.fixture(scope="module")
def wine():
    return Classification(datasets.wine(), model=models.MLP(width=8, depth=1))


RATE = Float(1e-3, 1e-1, log=True)


def rows(count, dimensions, seed=0):
    return np.random.default_rng(seed).random((count, dimensions)).astype(np.float32)


def test_one_compile_per_program_and_none_later(wine, count_compiles):
    space = Space(
        learning_rate=RATE, batch_size=Categorical([20, 40]), width=Int(4, 8), epochs=2
    )
    engine = Engine(wine, space, rows=8)
    sizes = (8, 8, 3, 1)
    proposals = [
        fresh(rows(n, 3, n), np.arange(n) + 10 * i) for i, n in enumerate(sizes)
    ]
    with count_compiles() as first:
        engine.submit(proposals[0])
        collect_all(engine)
    orders = {f"order_batch_size_{size}": 1 for size in (20, 40)}
    trained = {spec.name: 1 for spec in engine.plan.programs}
    started = {spec.name_of("start"): 1 for spec in engine.plan.programs}
    assert dict(first) == trained | started | orders
    with count_compiles() as later:
        for proposal in proposals[1:]:
            engine.submit(proposal)
            collect_all(engine)
    assert later.total() == 0


def test_members_train_while_another_program_compiles(wine, monkeypatch):
    space = Space(learning_rate=RATE, batch_size=Categorical([20, 40]), epochs=2)
    engine = Engine(wine, space, rows=4)
    training, call = threading.Event(), Execution.__call__

    def noted(self, block):
        training.set()
        return call(self, block)

    second = engine._programs[1].train
    compile_now = second.compile

    def compile_late(*arguments):
        assert training.wait(60.0), "the first block waits for the second program"
        compile_now(*arguments)

    monkeypatch.setattr(Execution, "__call__", noted)
    monkeypatch.setattr(second, "compile", compile_late)
    settings = [{"learning_rate": 0.01, "batch_size": size} for size in (20, 40)]
    engine.submit(fresh(space.encode(settings), np.arange(2)))
    assert set(collect_all(engine)) == {0, 1}


def test_what_goes_wrong_while_compiling_is_raised(wine, monkeypatch):
    engine = Engine(wine, Space(learning_rate=RATE, epochs=2), rows=2)

    def fail(*arguments):
        raise MemoryError("no room for the program")

    monkeypatch.setattr(engine._programs[0].train, "compile", fail)
    with pytest.raises(MemoryError, match="no room"):
        engine.submit(fresh(rows(2, 1), np.arange(2)))


def test_the_training_program_holds_no_collective(wine):
    engine = Engine(wine, Space(learning_rate=RATE, width=Int(4, 8)), rows=8)
    assert engine.plan.devices == 2
    program = engine._programs[0]
    text = program.train.lower(wine.data()).compile().as_text()
    for word in ("all-reduce", "all-gather", "all-to-all", "collective-permute"):
        assert word not in text


def test_a_diverged_member_harms_nobody(wine):
    space = Space(
        learning_rate=Categorical([0.01, 0.02, 1e30]), optimizer="sgd", epochs=3
    )
    healthy = Engine(wine, space, rows=6)
    x = space.encode([{"learning_rate": rate} for rate in (0.01, 0.02, 0.01)])
    healthy.submit(fresh(x, np.arange(3)))
    expected = collect_all(healthy)
    mixed = Engine(wine, space, rows=6)
    bad = space.encode([{"learning_rate": 1e30}] * 3)
    mixed.submit(fresh(np.concatenate([x, bad]), np.arange(6)))
    seen = {}
    while mixed.pending:
        finished = mixed.collect()
        for row in np.flatnonzero(finished.outcome.trial >= 0):
            trial = int(finished.outcome.trial[row])
            seen[trial] = (
                finished.outcome.fitness[row, 0],
                finished.outcome.status[row],
                finished.outcome.curve_len[row],
            )
        for array in jax.tree.leaves(finished.outcome):
            assert not np.any(np.isnan(array))
    for trial in range(3):
        assert seen[trial] == (pytest.approx(expected[trial][0]), Status.COMPLETE, 3)
    for trial in range(3, 6):
        assert seen[trial][0] == -np.inf
        assert seen[trial][1] == Status.DIVERGED
        assert seen[trial][2] < 3


def test_value_best_takes_the_best_epoch_and_its_weights(wine):
    space = Space(learning_rate=Float(0.05, 0.5), epochs=6)
    x = rows(4, 1)
    last, best = (
        Engine(wine, space, rows=4, value=value) for value in ("last", "best")
    )
    for engine in (last, best):
        engine.submit(fresh(x, np.arange(4)))
    ends, tops = collect_all(last), collect_all(best)
    for trial in range(4):
        curve = tops[trial][1]["val_accuracy"]
        np.testing.assert_array_equal(curve, ends[trial][1]["val_accuracy"])
        assert ends[trial][0] == curve[-1]
        assert tops[trial][0] == np.max(curve)
        params = {**space.constants, **space.params(x)[trial]}
        fitted = wine.export(params, tops[trial][3])
        predicted = np.argmax(fitted.predict(wine.splits.validation.x), axis=-1)
        accuracy = np.mean(predicted == wine.splits.validation.y)
        assert accuracy == pytest.approx(tops[trial][0], abs=1e-6)
    with pytest.raises(HyperparameterError, match="'last' or 'best'"):
        Engine(wine, space, rows=4, value="first")


def test_members_end_at_their_own_number_of_epochs(wine):
    searched = Space(learning_rate=0.01, epochs=Int(1, 5))
    engine = Engine(wine, searched, rows=5)
    assert len(engine.plan.programs) == 1
    x = searched.encode([{"epochs": n} for n in (3, 1, 5, 2, 4)])
    engine.submit(fresh(x, np.arange(5)))
    found = collect_all(engine)
    for trial, epochs in enumerate((3, 1, 5, 2, 4)):
        curve = found[trial][1]["val_loss"]
        assert found[trial][2] == epochs
        assert np.isfinite(curve).tolist() == [i < epochs for i in range(5)]
        alone = Engine(
            wine, Space(learning_rate=Float(0.01, 0.02), epochs=epochs), rows=1
        )
        alone.submit(fresh(np.zeros((1, 1), np.float32), np.asarray([trial])))
        expected = collect_all(alone)[trial][1]["val_loss"]
        np.testing.assert_allclose(curve[:epochs], expected, rtol=1e-3)


def test_inactive_hyperparameters_do_not_reach_the_program():
    seen = []

    def objective(hp):
        seen.append((hp.kind, "slope" in hp))
        return 1.0 * hp.get("slope", 0.0) + hp.x

    space = Space(
        kind=Categorical(["line", "point"]),
        slope=Float(1.0, 2.0, when={"kind": "line"}),
        x=Float(0.0, 1.0),
    )
    engine = Engine(Function(objective), space, rows=4, static=["kind"])
    seen.clear()
    x = space.encode(
        [{"kind": "line", "slope": 1.5, "x": 0.25}, {"kind": "point", "x": 0.25}]
    )
    engine.submit(fresh(x, np.arange(2)))
    found = collect_all(engine)
    assert found[0][0] == pytest.approx(1.75)
    assert found[1][0] == pytest.approx(0.25)
    assert set(seen) == {("line", True), ("point", False)}
    assert len(engine.plan.programs) == 2


def test_functions_see_values_of_their_kind():
    seen = []

    def objective(hp, key):
        seen.append([getattr(hp[name], "aval", hp[name]) for name in hp])
        noise = jax.random.uniform(key)
        n = jnp.asarray(hp.n, jnp.float32)
        return jnp.where(hp.flag, 10.0, 0.0) + n + hp.x + noise

    space = Space(flag=Bool(), n=Int(1, 3), x=Float(0.0, 1.0))
    engine = Engine(Function(objective), space, rows=2)
    assert set(engine.plan.bindings.values()) == {Binding.TRACED}
    x = space.encode([{"flag": True, "n": 2, "x": 0.5}] * 2)
    engine.submit(fresh(x, np.arange(2)))
    values = [found[0] for found in collect_all(engine).values()]
    assert all(12.5 <= value <= 13.5 for value in values)
    plain, *_, compiled = seen
    assert list(map(type, plain)) == [bool, int, float]
    dtypes = [jnp.bool_, jnp.int32, jnp.float32]
    assert [aval.dtype for aval in compiled] == dtypes
    assert not any(aval.weak_type for aval in compiled)
    assert values[0] != values[1]  # each trial has its own key


class Slope(Task):
    metric, direction = "distance", "minimize"
    epochs, steps_per_epoch = 3, 4

    def init(self):
        return jnp.zeros(())

    def step(self, hp, state, batch):
        return state + hp.rate * (1.0 - state), {
            "train_batch": jnp.asarray(batch, jnp.float32)
        }

    def evaluate(self, state):
        return {"distance": jnp.abs(1.0 - state)}


def test_a_task_of_ones_own_needs_three_methods():
    engine = Engine(Slope(), Space(rate=Float(0.1, 0.9)), rows=2)
    engine.submit(fresh(np.asarray([[0.0], [1.0]], np.float32), np.arange(2)))
    found = collect_all(engine)
    for trial, rate in ((0, 0.1), (1, 0.9)):
        expected = [(1.0 - rate) ** (4 * epoch) for epoch in (1, 2, 3)]
        value, curves, length, state = found[trial]
        np.testing.assert_allclose(curves["distance"], expected, rtol=1e-4, atol=1e-6)
        assert curves["train_batch"].tolist() == [1.5] * 3
        assert length == 3
        assert value == pytest.approx(expected[-1], rel=1e-4, abs=1e-6)
        assert float(state) == pytest.approx(1.0 - expected[-1], rel=1e-5)


def test_regression_scores_are_in_the_units_of_the_target():
    task = Regression(datasets.diabetes(), model=models.MLP(width=8, depth=1))
    space = Space(learning_rate=Float(1e-3, 1e-2), epochs=5)
    engine = Engine(task, space, rows=1)
    engine.submit(fresh(np.ones((1, 1), np.float32), np.arange(1)))
    value, curves, _, state = collect_all(engine)[0]
    params = {**space.constants, "learning_rate": 1e-2}
    fitted = task.export(params, state)
    part = task.splits.validation
    error = np.asarray(fitted.predict(part.x)) - part.y
    assert value == pytest.approx(np.sqrt(np.mean(error**2)), rel=1e-4)
    r2 = 1.0 - np.sum(error**2) / np.sum((part.y - part.y.mean()) ** 2)
    assert curves["val_r2"][-1] == pytest.approx(r2, rel=1e-4)
    [scores] = engine.test(params, [state])
    assert set(scores) == {"test_loss", "test_rmse", "test_mae", "test_r2"}


@pytest.mark.parametrize(
    ("space", "words"),
    [
        (Space(lerning_rate=RATE), r"'lerning_rate'.*Did you mean 'learning_rate'"),
        (Space(learning_rate=Float(-1.0, 1.0)), r"learning_rate must be at least 0"),
        (Space(learning_rate=RATE, batch_size=5000), r"batch_size must not exceed"),
        (Space(learning_rate=RATE, batch_size=0), r"batch_size must be an integer"),
        (Space(learning_rate=RATE, epochs=0), r"epochs must be an integer"),
        (Space(learning_rate=RATE, optimizer="adm"), r"optimizer.*Did you mean 'adam'"),
        (Space(learning_rate=RATE, width=Int(0, 4)), r"width must be an integer"),
        (Space(learning_rate=RATE, width=Float(1.0, 4.0)), r"width must be an integer"),
        (Space(learning_rate=RATE, activation="rely"), r"activation.*'relu'"),
        (Space(learning_rate=RATE, dropout=Float(0.0, 1.0)), r"dropout must lie in"),
        (Space(learning_rate=RATE, momentum=1.5), r"momentum must lie in"),
        (Space(learning_rate=RATE, label_smoothing=2.0), r"label_smoothing must lie"),
        (Space(learning_rate=RATE, l2=-1.0), r"l2 must be at least 0"),
        (Space(learning_rate=RATE, batch_size=Int(1, 64)), r"'batch_size'.*64 values"),
    ],
)
def test_a_space_that_does_not_fit_is_an_error_before_compiling(
    wine, space, words, count_compiles
):
    with (
        count_compiles() as compiles,
        pytest.raises(HyperparameterError, match=words),
    ):
        Engine(wine, space, rows=4)
    assert compiles.total() == 0


def test_all_problems_of_a_space_are_reported_at_once(wine):
    space = Space(learning_rate=Float(-1.0, 1.0), batch_size=5000, width=0)
    with pytest.raises(HyperparameterError, match="3 problems"):
        Engine(wine, space, rows=4)


@pytest.mark.parametrize("metric", ["acuracy", "f2"])
def test_a_metric_that_the_task_does_not_have_is_an_error(metric):
    with pytest.raises(HyperparameterError, match="metric must be one of"):
        Classification(datasets.wine(), metric=metric)


def test_names_with_dots_are_known_by_their_last_part(wine):
    space = Space({"opt.learning_rate": RATE, "net.width": Int(4, 8), "epochs": 1})
    engine = Engine(wine, space, rows=2)
    assert engine.plan.bindings["opt.learning_rate"] is Binding.TRACED
    assert engine.plan.bindings["net.width"] is Binding.MASKED
    engine.submit(fresh(rows(2, 2), np.arange(2)))
    assert len(collect_all(engine)) == 2


def test_hyperparameters_are_reached_by_attribute_name_and_part():
    hp = Hyperparameters({"opt.rate": 0.1, "opt.decay": 0.2, "width": 3})
    assert hp.opt.rate == hp["opt.rate"] == hp["rate"] == 0.1
    assert hp.width == 3
    assert hp.get("depth", 2) == 2
    with pytest.raises(HyperparameterError, match=r"'widht'.*Did you mean 'width'"):
        _ = hp.widht


def test_the_plan_is_the_same_every_time_and_prints_itself(wine):
    space = Space(learning_rate=RATE, width=Int(4, 200, log=True), depth=Int(1, 4))
    plans = [Engine(wine, space, rows=8, trainings=5000).plan for _ in range(2)]
    assert plans[0].to_json() == plans[1].to_json()
    assert 1 <= len(plans[0].programs) <= 6
    text = str(plans[0])
    for word in ("traced", "masked", "lanes", "padding", plans[0].programs[0].name):
        assert word in text
    few = Engine(wine, space, rows=8, trainings=8).plan
    assert len(few.programs) == 1  # compiling twice would cost more than it saves


def test_the_template_has_the_shapes_of_a_members_state(wine):
    space = Space(learning_rate=RATE, width=Int(4, 8), batch_size=Categorical([20, 40]))
    engine = Engine(wine, space, rows=2)
    x = rows(2, 3)
    engine.submit(fresh(x, np.arange(2)))
    found = collect_all(engine)
    for trial, params in enumerate(space.params(x)):
        template, state = engine.template(params), found[trial][3]
        assert jax.tree.structure(template) == jax.tree.structure(state)
        for struct, leaf in zip(
            jax.tree.leaves(template), jax.tree.leaves(state), strict=True
        ):
            assert (struct.shape, struct.dtype) == (leaf.shape, leaf.dtype)


DECOMPOSING = """
import jax, jax.numpy as jnp, numpy as np
import evotune as et
from evotune._contracts import fresh
from evotune.engine import Engine

class Decomposing(et.Task):
    metric, epochs, steps_per_epoch = "size", 1, 1

    def init(self, hp, key):
        keys = jax.random.split(key, 3)
        return [jnp.linalg.qr(jax.random.normal(k, (64, 64)))[0] for k in keys]

    def step(self, hp, state):
        return [hp.rate * x for x in state]

    def evaluate(self, state):
        return {"size": jnp.mean(state[0] ** 2)}

engine = Engine(Decomposing(), et.Space(rate=et.Float(0.5, 1.0)), rows=8)
engine.submit(fresh(np.linspace(0, 1, 8)[:, None], np.arange(8)))
sizes = [x for x in engine.collect().values if np.isfinite(x)]
assert len(sizes) == 8, sizes
"""


def test_initial_weights_may_be_decomposed_in_any_number():
    """jaxlib 0.10 waits forever where several QR decompositions are batched."""
    subprocess.run(
        [sys.executable, "-c", DECOMPOSING],
        env={**os.environ, "EVOTUNE_CACHE": "off"},
        check=True,
        timeout=120,
    )
