"""A search that needs nothing but data."""

from __future__ import annotations

import numpy as np
import pytest

import evotune as et


@pytest.mark.parametrize(
    ("dataset", "task"),
    [("digits", "Classification"), ("wine", "Classification"), ("diabetes", None)],
)
def test_the_default_space_fits_every_task(dataset, task):
    kind = getattr(et.tasks, task or "Regression")
    made = kind(getattr(et.datasets, dataset)())
    space = et.default_space(made)
    assert et.plan(made, space, n_trials=512).programs
    assert ("label_smoothing" in space.names) == (task is not None)
    assert set(space.names) | set(space.constants) <= set(made.names())


def test_the_default_space_can_be_changed():
    task = et.tasks.Classification(et.datasets.digits())
    space = et.default_space(task, width=32, depth=None, learning_rate=et.Float(0, 1))
    assert space.constants["width"] == 32
    assert "depth" not in {*space.names, *space.constants}
    assert not space.dimensions["learning_rate"].log


def test_a_model_of_ones_own_gets_the_dimensions_of_training():
    from flax import linen

    task = et.tasks.Classification(
        et.datasets.wine(), model=lambda hp, info: linen.Dense(info.num_outputs)
    )
    assert "width" not in et.default_space(task).names
    assert "learning_rate" in et.default_space(task).names


def test_tiny_data_get_batches_that_fit():
    x = np.random.default_rng(0).normal(size=(40, 3))
    task = et.tasks.Classification(et.datasets.arrays(x, x[:, 0] > 0, name="tiny"))
    size = et.default_space(task).constants["batch_size"]
    assert 1 <= size <= len(task.splits.train) // 8


def test_a_task_without_data_is_refused():
    with pytest.raises(et.HyperparameterError, match="Classification"):
        et.autotune(et.tasks.Function(lambda hp: hp.x))


def test_autotune_finds_a_good_network_for_a_dataset():
    result = et.autotune(
        et.datasets.breast_cancer(), n_trials=32, epochs=5, width=16, progress=False
    )
    assert len(result.trials) == 32
    assert result.best_value > 0.9, [trial.value for trial in result.trials]
