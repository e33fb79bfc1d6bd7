"""The benchmark of functions counts as it says."""

from __future__ import annotations

import jax
import numpy as np
import pytest

import evotune as et
from benchmarks import _functions, _ranks, _samplers, search_functions

MIXED = _functions.Bowl(suite="mixed", number=2, dimension=3, instance=1)
REAL = _functions.Bowl(suite="real", number=1, dimension=3, instance=2)


def test_asked_losses_are_those_of_a_plain_loop() -> None:
    search = et.algorithms.DifferentialEvolution(population_size=8)
    problems = [
        MIXED,
        _functions.Bowl(suite="mixed", number=2, dimension=3, instance=5),
    ]
    found = _samplers.asked_losses(search, problems, seeds=[3, 4], rounds=4)
    assert found.shape == (2, 32)

    key, ask, tell = jax.random.key(4), jax.jit(search.ask), jax.jit(search.tell)
    state = search.init(key, MIXED.geometry)
    for number in range(4):
        proposal = ask(jax.random.fold_in(key, number + 1), state)
        state = tell(state, et.testing.finish(proposal, 0.0, status=0))
        losses = problems[1].evaluate(np.asarray(proposal.x))
        np.testing.assert_allclose(found[1, 8 * number : 8 * number + 8], losses)
        state = tell(state, et.testing.finish(proposal, -losses))


@pytest.mark.parametrize(
    "sampler", ["TPE", "multivariate TPE", "CMA-ES", "NSGA-II", "QMC", "random"]
)
@pytest.mark.parametrize("problem", [MIXED, REAL], ids=["mixed", "real"])
def test_optunas_samplers_search_functions(sampler, problem) -> None:
    pytest.importorskip("cmaes" if sampler == "CMA-ES" else "optuna")
    found = _samplers.optuna_losses(sampler, problem, seed=1, rounds=3, batch=6)
    again = _samplers.optuna_losses(sampler, problem, seed=1, rounds=3, batch=6)
    np.testing.assert_array_equal(found, again)
    assert found.shape == (18,)
    assert np.isfinite(found).all()


@pytest.mark.parametrize("problem", [MIXED, REAL], ids=["mixed", "real"])
def test_pymoo_searches_functions(problem) -> None:
    pytest.importorskip("pymoo")
    from benchmarks._pymoo import pymoo_losses

    found = pymoo_losses("GA", problem, seed=1, rounds=4, batch=8)
    assert found.shape == (32,)
    assert found[24:].min() <= np.median(found[:8])


@pytest.mark.parametrize("name", ["CMA-ES", "DE"])
def test_evosax_searches_functions(name) -> None:
    pytest.importorskip("evosax")
    side = search_functions.sides()[f"evosax {name}"]
    found = _samplers.asked_losses(side.search, [REAL], seeds=[1], rounds=8)
    assert found.shape == (1, 256)
    assert np.median(found[0, 224:]) < 0.5 * np.median(found[0, :32])


def test_functions_of_coco_are_in_its_bounds_and_above_their_best() -> None:
    pytest.importorskip("cocoex")
    for suite, levels in {"real": (0, 0, 0, 0, 0), "mixed": (2, 4, 8, 16, 0)}.items():
        one = _functions.Function(suite=suite, number=1, dimension=5, instance=1)
        assert one.geometry.levels == levels
        x = np.random.default_rng(0).random((50, 5))
        losses = one.evaluate(x)
        assert (losses > 0).all()
        corner = one.evaluate(np.ones((1, 5)))
        assert np.isfinite(corner).all()
        # Coordinate by coordinate a sphere is searched to its very optimum.
        assert one.evaluate(_best_of_separable(one)[None])[0] < 1e-4


def _best_of_separable(one: _functions.Function) -> np.ndarray:
    """f64[D], of a grid on each coordinate."""
    x = np.full(5, 0.5)
    for d, count in enumerate(one.geometry.levels):
        grid = (np.arange(count) + 0.5) / count if count else np.linspace(0, 1, 2001)
        rows = np.repeat(x[None], len(grid), axis=0)
        rows[:, d] = grid
        x[d] = grid[np.argmin(one.evaluate(rows))]
    return x


def test_twice_the_trials_are_read_at_half_the_evaluations() -> None:
    losses = np.asarray([[1.0, 0.1, 10.0, 1e-9, 5.0, 5.0]])
    np.testing.assert_allclose(_ranks.logs(losses), [[0, -1, -1, -6, -6, -6]])
    np.testing.assert_allclose(_ranks.logs(losses, times=2), [[-1, -6, -6]])


def test_ranks_and_pairs_are_counted_at_each_budget() -> None:
    ours = {"f": np.asarray([[0.0, -1.0], [0.0, -3.0]]), "g": np.full((2, 2), -2.0)}
    other = {"f": np.asarray([[1.0, -2.0], [1.0, -2.0]]), "g": np.full((2, 2), -2.0)}
    short = {name: log[:, :1] + 5.0 for name, log in ours.items()}
    found = {"ours": ours, "other": other, "short": short}
    figures = _ranks.summary(found, budgets=[1, 2], to="ours")
    first, second = figures["1"]["sides"], figures["2"]["sides"]
    assert first["ours"]["mean_rank"] == (1 + 1 + 1.5 + 1.5) / 4
    assert first["short"]["mean_rank"] == 3.0
    assert figures["1"]["friedman"] < 0.1
    assert set(second) == {"ours", "other"}
    assert second["ours"]["functions"] == {"f": 1.5, "g": 1.5}
    assert second["other"]["against"]["better"] == 0.25
    assert second["other"]["against"]["equal"] == 0.5
    assert second["other"]["log10_loss"] == -2.0
    assert _ranks.curves(found)["short"]["evaluations"] == [1]
    table = _ranks.table("", figures["1"], dict.fromkeys(found, 1.0))
    assert table.index("ours") < table.index("other") < table.index("short")


def test_every_side_has_a_form_that_can_be_asked_for() -> None:
    named = search_functions.sides()
    assert search_functions.OURS in named
    for side in named.values():
        can = hasattr(side.search, "ask") or callable(side.search)
        assert can or search_functions.missing(side.needs)
        assert set(side.kinds) <= set(_functions.SUITES)


def test_every_side_of_the_ablation_asks_for_a_batch() -> None:
    named = search_functions.changed()
    assert search_functions.OURS in named
    for side in named.values():
        assert side.search.batch_size == search_functions.BATCH
