"""Growing a network: the rules, the loop over layers, real trainings, clear errors."""

from __future__ import annotations

import numpy as np
import pytest

import evotune as et
from evotune import _grow
from evotune._growth_rules import gain_is_real, smallest_near_best


def xor_data() -> et.datasets.Dataset:
    """Four clusters, opposite ones of one class: no single unit tells them apart."""
    random = np.random.default_rng(0)
    signs = random.choice([-1.0, 1.0], size=(400, 2))
    x = signs + 0.2 * random.normal(size=signs.shape)
    return et.datasets.arrays(x.astype(np.float32), signs[:, 0] == signs[:, 1])


def spiral_data() -> et.datasets.Dataset:
    """Two spirals of one and a half turns (Lang, Witbrock, 1988)."""
    random = np.random.default_rng(0)
    angle = 3 * np.pi * np.sqrt(random.random(600))
    arm = random.choice([-1.0, 1.0], size=600)
    radius = 2 * arm * angle / (3 * np.pi)
    x = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    x += 0.02 * random.normal(size=x.shape)
    return et.datasets.arrays(x.astype(np.float32), arm > 0)


def separable_data() -> et.datasets.Dataset:
    """Two classes on both sides of a line, with room between them."""
    random = np.random.default_rng(1)
    x = random.normal(size=(400, 2))
    y = x.sum(axis=1) > 0
    x += 0.3 * np.where(y, 1.0, -1.0)[:, None]
    return et.datasets.arrays(x.astype(np.float32), y)


@pytest.fixture(scope="module")
def task() -> et.Task:
    return et.tasks.Classification(xor_data(), model=et.models.MLP())


SETTINGS = {"learning_rate": 0.05, "batch_size": 32, "epochs": 12}


# The rules ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "errors", "row"),
    [
        ([[0.1, 0.2], [0.7, 0.8], [0.7, 0.9]], 1.0, 1),  # 0.75 >= 0.8 - 0.1
        ([[0.1, 0.2], [0.7, 0.8], [0.7, 0.9]], 0.4, 2),  # 0.75 < 0.8 - 0.04
        ([[0.1, 0.2], [0.7, 0.8], [0.7, 0.9]], 7.0, 0),  # 0.15 >= 0.8 - 0.7
        ([[0.6, 0.9], [0.8, 0.8], [0.7, 0.7]], 1.0, 1),  # the noise of the best counts
        ([[0.5], [0.8], [0.8]], 1.0, 1),  # one seed: the best, the first of equals
        ([[np.nan, 0.9], [0.3, 0.3], [0.1, 0.1]], 1.0, 1),  # diverged is never near
        ([[np.nan, 0.9], [np.nan, np.nan]], 1.0, None),
    ],
)
def test_the_smallest_within_a_standard_error_of_the_best_is_taken(values, errors, row):
    assert smallest_near_best(np.asarray(values), errors=errors) == row


def test_the_rule_is_that_of_a_plain_loop():
    random = np.random.default_rng(1)
    for _ in range(50):
        values = random.normal(size=(6, 5)).round(2)
        rows = values.tolist()
        means = [sum(row) / 5 for row in rows]
        top = means.index(max(means))
        squares = sum((value - means[top]) ** 2 for value in rows[top])
        bar = means[top] - (squares / 4 / 5) ** 0.5
        expected = next(k for k in range(6) if means[k] >= bar)
        assert smallest_near_best(values) == expected, rows


def test_a_gain_must_exceed_noise_and_the_least_difference():
    before, after = np.asarray([0.5, 0.7]), np.asarray([0.8, 1.0])
    # Gain 0.3; each mean has error 0.1, their difference 0.1414.
    assert gain_is_real(before, after, errors=2.0)
    assert not gain_is_real(before, after, errors=2.2)
    assert not gain_is_real(before, after, min_delta=0.31)
    assert not gain_is_real(after, before, errors=0.0)
    assert gain_is_real(np.asarray([0.1]), np.asarray([0.2]))
    assert not gain_is_real(np.asarray([0.1]), np.asarray([0.1]))


# The loop, with scores that are made up -----------------------------------------------


@pytest.fixture
def scripted(monkeypatch):
    """Replaces training by a function of a network's sizes; returns what it saw."""

    def script(task, score, **options):
        seen = []

        def train(engine, numbers, x, seeds):
            sizes = [{**engine.space.constants, **p} for p in engine.params(x)]
            scores = np.asarray([score(each) for each in sizes], np.float64)
            noise = 0.01 * np.linspace(-1.0, 1.0, seeds)
            seen.extend(numbers.tolist())
            states = {(n, s): None for n in numbers.tolist() for s in range(seeds)}
            return scores[:, None] + noise, states

        monkeypatch.setattr(_grow, "train_replicas", train)
        monkeypatch.setattr(_grow, "scores_on_test", lambda *_: {})
        monkeypatch.setattr(task, "export", lambda *_: None)
        grown = et.grow(task, SETTINGS, progress=False, **options)
        assert len(set(seen)) == len(seen) == len(grown.networks), "numbers stand twice"
        return grown

    return script


def test_layers_are_sized_one_by_one_and_growth_stops_where_they_bring_nothing(
    task, scripted
):
    wanted = {"width_0": 16, "width_1": 4}

    def score(sizes):
        return sum(min(sizes.get(name, 0), width) for name, width in wanted.items())

    grown = scripted(task, score, widths=[2, 4, 8, 16, 32], max_depth=4)
    assert grown.chosen.sizes == {"depth": 2, **wanted}, grown
    assert grown.params == {**SETTINGS, "depth": 2, **wanted}
    assert [round_.added for round_ in grown.rounds] == [True, True, False]
    assert all(
        network.sizes["width_0"] == 16 and network.sizes["width_1"] == 4
        for network in grown.rounds[2].networks
    )
    assert len(grown.dataframe()) == 15
    assert grown.dataframe().query("chosen")["width_1"].tolist() == [4]
    assert "depth=2, width_0=16, width_1=4 kept" in repr(grown)
    assert "width_2=2 left out" in repr(grown)


def test_patience_looks_beyond_a_layer_that_brings_nothing(task, scripted):
    def score(sizes):
        return [0.5, 0.5, 0.9, 0.9][sizes["depth"] - 1]

    options = {"widths": [2, 4], "max_depth": 4}
    assert scripted(task, score, **options).chosen.sizes["depth"] == 1
    grown = scripted(task, score, patience=2, **options)
    assert [round_.added for round_ in grown.rounds] == [True, False, True, False]
    assert grown.chosen.sizes == {"depth": 3, "width_0": 2, "width_1": 2, "width_2": 2}
    dear = scripted(task, score, patience=3, min_delta=0.5, **options)
    assert dear.chosen.sizes["depth"] == 1


def test_a_shared_width_is_chosen_anew_at_each_depth(scripted):
    series = et.datasets.arrays(np.zeros((80, 6, 1), np.float32), np.arange(80.0))
    task = et.tasks.Regression(series, model=et.models.RNN(), metric="mse")

    def loss(sizes):  # smaller is better: one layer needs 8 units, two need 4 each
        units = sizes["depth"] * sizes["width"]
        return 1.0 / min(units, 8) - 0.2 * (sizes["depth"] > 1)

    grown = scripted(task, loss, widths=[2, 4, 8], max_depth=3)
    assert grown.rounds[0].chosen.sizes == {"depth": 1, "width": 8}, grown
    assert grown.chosen.sizes == {"depth": 2, "width": 4}, grown


def test_widths_that_diverge_are_never_chosen(task, scripted):
    def score(sizes):
        return np.nan if sizes["depth"] > 1 or sizes["width_0"] > 4 else 0.5

    grown = scripted(task, score, widths=[4, 8], max_depth=3)
    assert grown.chosen.sizes == {"depth": 1, "width_0": 4}
    assert len(grown.rounds) == 2
    assert "every width diverged" in repr(grown)
    with pytest.raises(et.AllDivergedError, match="lr_range_test"):
        scripted(task, lambda sizes: np.nan, widths=[4, 8])


# Real trainings -----------------------------------------------------------------------


def test_a_task_that_one_unit_cannot_solve_gets_more(task, count_compiles, capsys):
    options = {"widths": [1, 8, 16], "seeds": 3, "seed": 7}
    given = {**SETTINGS, "width": 64, "depth": 3}  # as an earlier search may have had
    with count_compiles() as compiles:
        grown = et.grow(task, given, max_depth=2, **options)
    assert 1 < grown.chosen.sizes["width_0"] <= 16, grown
    assert grown.chosen.sizes["depth"] == 1, grown
    assert grown.rounds[0].networks[0].mean < 0.85 < 0.95 < grown.chosen.mean, grown
    assert grown.params == {**SETTINGS, **grown.chosen.sizes}
    assert capsys.readouterr().err.count("val_accuracy") == 2

    trained = [name for name in compiles if name.startswith("train")]
    assert sum(compiles[name] for name in trained) == grown.programs == 2

    counted = grown.chosen.sizes["width_0"] * (2 + 1 + 2) + 2
    assert grown.chosen.parameters == counted
    part = task.splits.validation
    guessed = np.asarray(grown.model.predict(part.x)).argmax(axis=1)
    assert np.mean(guessed == part.y) == pytest.approx(grown.chosen.values[0])
    assert grown.test_metrics["test_accuracy"].shape == (3,)

    again = et.grow(task, SETTINGS, max_depth=1, progress=False, **options)
    for first, second in zip(grown.rounds[0].networks, again.networks, strict=True):
        np.testing.assert_array_equal(first.values, second.values)


QUIET = {"seeds": 4, "progress": False}


def test_a_second_layer_is_added_where_one_narrow_layer_is_not_enough():
    task = et.tasks.Classification(
        spiral_data(), model=et.models.MLP(activation="tanh")
    )
    settings = {"learning_rate": 0.02, "batch_size": 32, "epochs": 50}
    grown = et.grow(task, settings, widths=[4, 8], max_depth=2, **QUIET)
    assert grown.chosen.sizes["depth"] == 2, grown
    assert grown.rounds[1].gain > 0.1, grown
    assert max(network.mean for network in grown.rounds[0].networks) < 0.8, grown
    assert grown.chosen.mean > 0.85, grown


def test_a_linear_task_stops_at_one_layer_of_the_narrowest():
    task = et.tasks.Classification(separable_data(), model=et.models.MLP())
    grown = et.grow(
        task, {**SETTINGS, "epochs": 10}, widths=[2, 8], max_depth=3, **QUIET
    )
    assert [round_.added for round_ in grown.rounds] == [True, False], grown
    assert grown.chosen.sizes == {"depth": 1, "width_0": 2}, grown
    assert grown.chosen.mean > 0.98, grown


def test_the_channels_of_a_cnn_are_chosen_anew_at_each_depth():
    random = np.random.default_rng(0)
    y = np.arange(200) % 2  # bumps and dips, anywhere in a series
    at = np.asarray([np.eye(8)[place] for place in random.integers(1, 7, size=200)])
    x = np.where(y[:, None], at, -at) + 0.1 * random.normal(size=at.shape)
    task = et.tasks.Classification(
        et.datasets.arrays(x[..., None].astype(np.float32), y),
        model=et.models.CNN(stages=1),
    )
    settings = {**SETTINGS, "width": 4, "channels": 64, "epochs": 5}
    options = {**QUIET, "seeds": 2}
    grown = et.grow(task, settings, widths=[2, 4], max_depth=2, **options)
    assert [len(round_.networks) for round_ in grown.rounds] == [2, 2], grown
    for round_, depth in zip(grown.rounds, (1, 2), strict=True):
        assert [network.sizes for network in round_.networks] == [
            {"depth": depth, "channels": channels} for channels in (2, 4)
        ]
    channels, depth = grown.chosen.sizes["channels"], grown.chosen.sizes["depth"]
    counted = (3 + 1) * channels + (depth - 1) * (3 * channels + 1) * channels
    assert grown.chosen.parameters == counted + (4 * channels + 1) * 4 + (4 + 1) * 2
    assert grown.params == {**settings, **grown.chosen.sizes}
    assert grown.chosen.mean > 0.9, grown
    part = task.splits.validation
    guessed = np.asarray(grown.model.predict(part.x)).argmax(axis=1)
    assert np.mean(guessed == part.y) == pytest.approx(grown.chosen.values[0])


# Errors -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"widths": [8, 4]}, "ascend"),
        ({"widths": [4, 4]}, "ascend"),
        ({"widths": [0, 4]}, "at least 1"),
        ({"widths": [4, 8.0]}, "integers"),
        ({"widths": [4]}, "two or more"),
        ({"widths": 4}, "list"),
        ({"seeds": 0}, "seeds"),
        ({"max_depth": True}, "max_depth"),
        ({"max_depth": 9}, "at most 8 layers"),
        ({"min_delta": -1.0}, "min_delta"),
        ({"seed": -1}, "2\\*\\*32"),
        ({"seeds": 0, "patience": 0}, "2 problems"),
        ({"size": "channels"}, "MLP does not have.*width"),
        ({"value": "first"}, "'last' or 'best'"),
        ({"space": {"learning_rat": 0.1}}, "learning_rate"),
        ({"space": et.Space(learning_rate=et.Float(0.0, 1.0))}, "'learning_rate' may"),
        ({"space": [0.1]}, "mapping"),
        ({"task": et.tasks.Function(lambda hp: hp.x)}, "has none"),
    ],
)
def test_mistakes_are_named_before_anything_is_compiled(
    task, count_compiles, options, words
):
    arguments = {"task": task, "space": SETTINGS, **options}
    with count_compiles() as compiles, pytest.raises((ValueError, TypeError)) as caught:
        et.grow(arguments.pop("task"), arguments.pop("space"), **arguments)
    assert compiles.total() == 0
    assert caught.match(words)


def test_a_space_may_search_the_sizes_and_nothing_else(task, scripted):
    grown = scripted(task, lambda sizes: 0.5, widths=[2, 4], max_depth=1)
    space = et.Space({**SETTINGS, "width": et.Int(2, 8), "depth": et.Int(1, 3)})
    same = et.grow(task, space, widths=[2, 4], max_depth=1, progress=False)
    assert same.params == grown.params == {**SETTINGS, "depth": 1, "width_0": 2}


def test_a_model_of_ones_own_without_a_size_is_told_what_grow_sets(count_compiles):
    from flax import linen

    task = et.tasks.Classification(xor_data(), model=lambda hp: linen.Dense(2))
    with count_compiles() as compiles, pytest.raises(ValueError, match="width") as told:
        et.grow(task, SETTINGS, max_depth=1)
    assert "max_depth=1" in told.value.__notes__[0]
    assert compiles.total() == 0
