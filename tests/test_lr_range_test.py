"""The learning-rate range test: one program, a sensible range, clear errors."""

from __future__ import annotations

import math
from types import SimpleNamespace as Fake

import numpy as np
import pytest

import evotune as et
from evotune.report import learning_rates


def study_of(scores, rates=None, **more):
    rates = np.geomspace(1e-4, 10.0, len(scores)) if rates is None else rates
    trials = [
        Fake(
            number=i,
            state=Fake(name="FAIL" if math.isnan(score) else "COMPLETE"),
            value=None if math.isnan(score) else score,
            generation=0,
            params={"learning_rate": rate, **more},
            curves={},
        )
        for i, (score, rate) in enumerate(zip(scores, rates, strict=True))
    ]
    return Fake(trials=trials, direction="minimize", metric="val_loss")


def test_the_range_is_where_most_of_the_progress_is_made():
    scores = [2.0, 2.0, 2.0, 1.0, 0.5, 0.4, 0.4, 0.4, 0.5, 1.5, math.nan, math.nan]
    found = learning_rates(study_of(scores))
    assert found.low <= found.best <= found.high
    assert found.learning_rate[3] < found.low
    assert found.high < found.learning_rate[9]
    assert np.isnan(found.smooth[-2:]).all()


def test_a_score_that_is_better_when_larger_is_turned_round():
    scores = np.asarray([0.1, 0.1, 0.3, 0.8, 0.9, 0.8, 0.2])
    study = study_of(scores)
    study.direction, study.metric = "maximize", "val_accuracy"
    turned = study_of(-scores)
    assert learning_rates(study).best == learning_rates(turned).best


def test_a_study_that_searched_more_is_refused():
    with pytest.raises(ValueError, match="lr_range_test"):
        learning_rates(study_of([1.0, 0.5], width=3))


def test_one_program_trains_every_rate_and_the_range_works(count_compiles):
    task = et.tasks.Classification(et.datasets.wine(), model=et.models.MLP(width=16))
    with count_compiles() as compiles:
        found = et.lr_range_test(task, points=24, epochs=4, batch_size=20)
    trained = [name for name in compiles if name.startswith("train")]
    assert len(trained) == 1
    assert found.data.metric == "val_loss"
    assert len(found.data.learning_rate) == 24
    assert found.data.learning_rate[0] == pytest.approx(1e-6)
    assert found.data.learning_rate[-1] == pytest.approx(10.0)
    assert 1e-4 < found.low < found.suggestion <= found.high
    space = et.Space(learning_rate=found.dimension, batch_size=20, epochs=4)
    result = et.tune(task, space, n_trials=8, progress=False)
    worst = min(trial.value for trial in result.trials)
    assert worst > 0.8, [trial.value for trial in result.trials]
    assert f"{found.suggestion:.2g}" in str(found)
    assert found.plot().get_xlabel() == "learning rate"


def test_bad_bounds_are_refused_before_anything_is_compiled(count_compiles):
    task = et.tasks.Classification(et.datasets.wine())
    with count_compiles() as compiles, pytest.raises(ValueError, match="log"):
        et.lr_range_test(task, low=0.0)
    assert compiles.total() == 0
