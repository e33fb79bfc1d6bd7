"""The default search in spaces of one dimension and of a hundred."""

from __future__ import annotations

import numpy as np
import pytest

import evotune as et


def of_size(size: int) -> et.Space:
    """Numbers, integers, choices and ordered choices in turn."""
    kinds = (
        et.Float(1e-4, 1.0, log=True, prior=et.space.Normal(1e-2, 10.0)),
        et.Int(1, 9),
        et.space.Ordinal([8, 16, 64, 256]),
        et.Categorical(["a", "b", "c"], weights=[2, 1, 1]),
    )
    return et.Space({f"d{k}": kinds[k % 4] for k in range(size)})


@pytest.mark.parametrize("size", [1, 100])
def test_the_default_search_learns_in_a_space_of_any_size(size):
    space = of_size(size)
    study = et.Study(space, algorithm=et.GeneticAlgorithm(population_size=16), seed=1)
    values = []
    for _ in range(3):
        trials = study.ask(16)
        x = space.encode([trial.params for trial in trials])
        values.append(np.mean((x - 0.3) ** 2, axis=1))
        study.tell(trials, values[-1].tolist())
    assert np.isfinite(values).all()
    assert len({tuple(trial.params.items()) for trial in study.trials}) == 48
    assert np.mean(values[2]) < np.mean(values[0])
    assert study.best_value == pytest.approx(np.min(values))
