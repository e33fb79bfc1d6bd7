"""The leading trials on fresh seeds: what changes, what stays, and who wins."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import evotune as et
from evotune._confirmation import ConfirmedTrial, probability_of_best


@pytest.fixture(scope="module")
def result() -> et.Result:
    """A search among noisy values: the true value is -(x - 0.5) ** 2."""

    def noisy(hp, key):
        return -jnp.square(hp.x - 0.5) + 0.2 * jax.random.normal(key)

    task = et.tasks.Function(noisy, direction="maximize")
    return et.tune(
        task, et.Space(x=et.Float(0.0, 1.0)), n_trials=64, seed=3, progress=False
    )


@pytest.fixture(scope="module")
def network() -> et.Result:
    task = et.tasks.Classification(et.datasets.wine())
    space = et.Space(learning_rate=et.Float(1e-3, 1e-1, log=True), width=8, epochs=3)
    algorithm = et.RandomSearch(batch_size=8)
    return et.tune(task, space, algorithm=algorithm, n_trials=8, progress=False)


def test_a_winner_of_noise_is_unmasked(result):
    confirmed = result.confirm(top_k=4, seeds=40)
    optimism = [trial.searched - trial.mean for trial in confirmed.trials]
    assert min(optimism) > 0.05, optimism
    means = [trial.mean for trial in confirmed.trials]
    assert means == sorted(means, reverse=True)
    assert sum(trial.probability for trial in confirmed.trials) == pytest.approx(1.0)
    truth = [-((trial.params["x"] - 0.5) ** 2) for trial in confirmed.trials]
    for trial, true in zip(confirmed.trials, truth, strict=True):
        assert abs(trial.mean - true) < 4 * 0.2 / np.sqrt(40)
    assert confirmed.test_metrics == {}
    assert f"trial {confirmed.best.number}:" in repr(confirmed)


def test_a_seed_means_the_same_whoever_is_confirmed_beside_it(result):
    few, many = result.confirm(top_k=1, seeds=2), result.confirm(top_k=5, seeds=30)
    [same] = [trial for trial in many.trials if trial.number == few.best.number]
    np.testing.assert_array_equal(few.best.values, same.values[:2])


def test_networks_start_elsewhere_and_nothing_compiles_again(network, count_compiles):
    with count_compiles() as compiles:
        confirmed = network.confirm(top_k=2, seeds=5)
    assert not [name for name in compiles if name.startswith(("train", "order"))]
    assert len(np.unique(confirmed.best.values)) > 1
    assert network.best_value not in confirmed.best.values.tolist()
    scores = confirmed.test_metrics["test_accuracy"]
    assert scores.shape == (5,)
    assert np.all((scores > 0.2) & (scores <= 1.0))
    assert len(network.trials) == 8


def test_one_that_diverges_on_a_seed_comes_last():
    def fragile(hp, key):
        broken = (hp.x > 0.5) & (jax.random.uniform(key) < 0.5)
        return jnp.where(broken, jnp.nan, hp.x)

    task = et.tasks.Function(fragile, direction="maximize")
    space = et.Space(x=et.Categorical([0.1, 0.9]))
    algorithm = et.RandomSearch(batch_size=16)
    found = et.tune(task, space, algorithm=algorithm, n_trials=16, progress=False)
    assert found.best_params == {"x": 0.9}
    last = max(trial.number for trial in found.trials)
    confirmed = found.confirm(top_k=last, seeds=20)
    assert confirmed.best.params == {"x": 0.1}
    assert np.isnan(confirmed.trials[-1].mean)
    assert confirmed.trials[-1].probability == 0.0


def test_the_probability_of_two_is_that_of_their_difference():
    values = np.add(stats.norm.rvs(size=(2, 200), random_state=0), [[0.05], [0.0]])
    means, error = values.mean(axis=1), values.std(axis=1, ddof=1).mean() / np.sqrt(200)
    expected = stats.norm.cdf((means[0] - means[1]) / (error * np.sqrt(2)))
    assert probability_of_best(values)[0] == pytest.approx(expected, abs=0.02)
    assert probability_of_best(np.asarray([[1.0], [2.0]])).tolist() == [0.0, 1.0]
    assert probability_of_best(np.full((2, 3), np.nan)).tolist() == [0.0, 0.0]


def test_the_interval_is_students():
    values = np.asarray([0.1, 0.3, 0.2, 0.5])
    trial = ConfirmedTrial(
        number=0, params={}, searched=1.0, values=values, probability=1.0
    )
    expected = stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    assert trial.interval == pytest.approx((expected.low, expected.high))
    same = dataclasses.replace(trial, values=np.full(3, 0.5))
    assert same.interval == (0.5, 0.5)


@pytest.mark.parametrize("wrong", [{"top_k": 0}, {"seeds": 0}, {"seeds": 1.5}])
def test_numbers_are_checked(result, wrong):
    with pytest.raises(ValueError, match="must be an integer of at least 1"):
        result.confirm(**wrong)
