"""The promises of docs/design.md, kept by the whole."""

from __future__ import annotations

import jax
import numpy as np
import pytest

import evotune as et


@pytest.fixture(scope="module")
def task():
    return et.tasks.Classification(et.datasets.wine(), model=et.models.MLP(depth=1))


def space(low=1e-3, high=1e-1):
    return et.Space(
        learning_rate=et.Float(low, high, log=True),
        width=et.Int(4, 16, log=True),
        batch_size=et.Categorical([20, 40]),
        activation=et.Categorical(["relu", "tanh"]),
        epochs=3,
    )


def evolve(task, searched, **changes):
    settings = {"generations": 4, "seed": 1, "progress": False, **changes}
    algorithm = et.GeneticAlgorithm(population_size=8)
    return et.tune(task, searched, algorithm=algorithm, **settings)


def test_as_many_compiles_as_programs_however_many_generations(task, count_compiles):
    with count_compiles() as compiles:
        result = evolve(task, space(), generations=6)
    trained = {name: n for name, n in compiles.items() if name.startswith("train")}
    assert trained == {spec.name: 1 for spec in result.plan.programs}
    orders = {name: n for name, n in compiles.items() if name.startswith("order")}
    assert orders == {f"order_batch_size_{size}": 1 for size in (20, 40)}
    started = {name: n for name, n in compiles.items() if name.startswith("start")}
    assert started == {spec.name_of("start"): 1 for spec in result.plan.programs}
    host = set(compiles) - set(trained) - set(orders) - set(started)
    assert len(host) <= 4, f"the host compiles too much: {host}"


def test_nothing_compiles_after_the_first_generation(task, count_compiles):
    seen = []

    def note(study, trial):
        seen.append((trial.generation, compiles.total()))

    fresh_task = et.tasks.Classification(et.datasets.wine(), model=et.models.MLP())
    with count_compiles() as compiles:
        evolve(fresh_task, space(), generations=5, callbacks=[note])
    first, last = min(seen)[0], max(seen)[0]
    after_second_ask = min(n for g, n in seen if g == first + 1)
    assert last > first + 1
    assert max(n for _, n in seen) == after_second_ask


def test_a_later_study_of_the_same_shape_compiles_nothing(task, count_compiles):
    first = evolve(task, space())
    with count_compiles() as compiles:
        second = evolve(task, space(2e-3, 2e-1), seed=9)
    assert compiles.total() == 0
    assert first.best_params != second.best_params


def test_the_same_seed_gives_the_same_bits(task):
    first, second = (evolve(task, space()) for _ in range(2))
    assert [t.params for t in first.trials] == [t.params for t in second.trials]
    assert [t.value for t in first.trials] == [t.value for t in second.trials]
    for a, b in zip(
        jax.tree.leaves(first.best_state),
        jax.tree.leaves(second.best_state),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)


def test_the_best_model_has_the_recorded_score(task):
    result = evolve(task, space())
    assert result.best.value == max(t.value for t in result.trials)
    model = result.best_model()
    part = task.splits.validation
    predicted = np.argmax(model.predict(part.x), axis=-1)
    assert np.mean(predicted == part.y) == pytest.approx(result.best_value, abs=1e-6)
    module, variables = model
    logits = module.apply(variables, task.preprocess(part.x))
    np.testing.assert_array_equal(np.argmax(logits, axis=-1), predicted)
    width = result.best_params["width"]
    assert variables["params"]["hidden_0"]["kernel"].shape == (13, width)
    scores = result.test_metrics()
    predicted = np.argmax(model.predict(task.splits.test.x), axis=-1)
    accuracy = float(np.mean(predicted == task.splits.test.y))
    assert scores["test_accuracy"] == pytest.approx(accuracy, abs=1e-6)


def test_every_member_has_its_learning_curves(task):
    result = evolve(task, space(), generations=2)
    assert len(result.trials) == 16
    for trial in result.trials:
        assert set(trial.curves) == {"train_loss", "val_accuracy", "val_loss"}
        assert all(len(curve) == 3 for curve in trial.curves.values())
        assert trial.value == pytest.approx(float(trial.curves["val_accuracy"][-1]))


def test_the_test_split_is_never_seen_by_the_search(task):
    rows = [
        set(part.index.tolist())
        for part in (task.splits.train, task.splits.validation, task.splits.test)
    ]
    assert not rows[0] & rows[1]
    assert not rows[0] & rows[2]
    assert not rows[1] & rows[2]
    shapes = {len(leaf) for leaf in jax.tree.leaves(task.data())}
    assert shapes == {len(rows[0]), len(rows[1])}


def test_a_generation_that_diverges_as_a_whole_ends_in_a_clear_error(task):
    searched = et.Space(learning_rate=et.Float(1e30, 1e32, log=True), optimizer="sgd")
    with pytest.raises(et.AllDivergedError, match="learning_rate"):
        evolve(task, searched)


def test_some_diverged_members_do_not_stop_the_search(task):
    searched = et.Space(
        learning_rate=et.Float(1e-2, 1e32, log=True), optimizer="sgd", epochs=3
    )
    result = evolve(task, searched, generations=4)
    failed = [t for t in result.trials if t.state is et.TrialState.FAIL]
    assert failed
    assert all(t.value is None for t in failed)
    assert result.best_value > 0.5


@pytest.mark.parametrize("static", [(), ("optimizer",)], ids=["masked", "static"])
def test_conditions_of_a_categorical_parent(task, static):
    searched = et.Space(
        optimizer=et.Categorical(["sgd", "adam"]),
        momentum=et.Float(0.0, 0.9, when={"optimizer": "sgd"}),
        learning_rate=et.Float(1e-3, 1e-1, log=True),
        epochs=2,
    )
    result = evolve(task, searched, generations=2, static=static)
    assert len(result.plan.programs) == 1 + len(static)
    for trial in result.trials:
        assert ("momentum" in trial.params) == (trial.params["optimizer"] == "sgd")


def test_a_grid_without_levels_names_the_continuous_dimension(task, count_compiles):
    searched = et.Space(width=et.Int(4, 8), rate=et.Float(0.1, 0.2))
    with (
        count_compiles() as compiles,
        pytest.raises(et.SpaceError, match=r"'rate' \(float\).*GridSearch\(levels="),
    ):
        et.Study(searched, algorithm=et.GridSearch())
    assert compiles.total() == 0


@pytest.mark.parametrize(
    "algorithm", [et.RandomSearch(batch_size=8), et.GridSearch(levels=2, batch_size=8)]
)
def test_random_and_grid_search_run_on_the_same_engine(task, algorithm):
    result = et.tune(task, space(), algorithm=algorithm, n_trials=16, progress=False)
    assert len(result.trials) == 16
    assert result.best_value > 0.5
