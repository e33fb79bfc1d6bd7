"""The benchmark of the surrogate's cost counts as it says."""

from __future__ import annotations

import pytest

from benchmarks.surrogate_cost import Run, figures_of, table


def _run(best, trainings, generations, search, trained=None):
    """A run whose trainings take half a second each."""
    trained = trained or trainings
    return Run(
        best=best,
        trainings=trainings,
        trained=trained,
        generations=generations,
        search_seconds=search,
        train_seconds=0.5 * trained,
    )


COMPILING = {"surrogate": 3.0, "plain": 1.0}


def test_the_share_is_of_the_training_that_all_pairs_saved() -> None:
    # Of ten generations, the first half and a bit until the loss was reached.
    ours = _run(0.1, 52, 10, 2.0, trained=100)
    pairs = [(ours, _run(0.1, n, 20, 1.0)) for n in (42, 92, 142)]
    row = figures_of(pairs, COMPILING)
    assert row["trainings_saved"] == 40
    assert row["training_seconds_saved"] == 20.0
    # 0.2 s a generation less 0.05 s that the search takes without it, six times.
    assert row["surrogate_seconds_per_generation"] == pytest.approx(0.15)
    assert row["share"] == pytest.approx(0.9 / 20.0)
    assert row["share_with_compiling"] == pytest.approx(2.9 / 20.0)
    assert row["training_seconds_per_generation"] == 5.0
    assert row["never_reached"] == 0
    assert "4.5% of that" in table("case", row)


def test_a_pair_that_saves_nothing_has_no_share() -> None:
    pairs = [(_run(0.1, 100, 10, 2.0), _run(0.2, 80, 8, 1.0))]
    row = figures_of(pairs, COMPILING)
    assert row["share"] is None
    assert row["never_reached"] == 1
    assert "nothing was saved" in table("case", row)
