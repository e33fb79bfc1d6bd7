"""Augmentations as hyperparameters of a space."""

from __future__ import annotations

import numpy as np
import pytest

from evotune import datasets, models
from evotune._contracts import Binding, fresh
from evotune._errors import DataError, HyperparameterError
from evotune.engine import Engine
from evotune.space import Categorical, Float, Int, Space
from evotune.tasks import Classification, Regression
from tests.engine.test_parity import collect_all

MODEL = models.MLP(width=8, depth=1)
IMAGE_SPACE = {
    "flip": Float(0.0, 0.5),
    "shift": Float(0.0, 0.2),
    "rotation": Float(0.0, 20.0),
    "scale": Float(0.0, 0.2),
    "brightness": Float(0.0, 0.3),
    "cutout": Float(0.0, 0.3),
    "input_noise": Float(0.0, 0.1),
    "mixup": Float(0.0, 1.0),
    "augmentation_probability": Float(0.5, 1.0),
}


@pytest.fixture(scope="module")
def images():
    return Classification(datasets.digits().reshape(8, 8, 1), model=MODEL)


def train(task, space, rows):
    engine = Engine(task, space, rows=len(rows))
    engine.submit(fresh(np.asarray(rows, np.float32), np.arange(len(rows))))
    return engine, collect_all(engine)


def test_all_augmentations_of_images_are_traced_in_one_program(images):
    space = Space({**IMAGE_SPACE, "epochs": 1, "batch_size": 128})
    draws = np.random.default_rng(0).random((3, len(space.names)))
    engine, together = train(images, space, draws)
    assert set(engine.plan.bindings.values()) == {Binding.TRACED}
    assert len(engine.plan.programs) == 1
    for trial in range(3):
        one = Engine(images, space, rows=1)
        one.submit(
            fresh(draws[trial : trial + 1].astype(np.float32), np.asarray([trial]))
        )
        alone = collect_all(one)[trial][1]["val_loss"]
        np.testing.assert_allclose(together[trial][1]["val_loss"], alone, rtol=1e-3)


def test_augmentations_at_0_leave_training_and_dropout_alone(images):
    plain = Space(learning_rate=Float(1e-3, 1e-2), dropout=0.3, epochs=1)
    _, expected = train(images, plain, [[0.5]])
    nothing = {
        name: Float(0.0, 1e-9) for name in IMAGE_SPACE if not name.startswith("aug")
    }
    space = Space(
        {"learning_rate": Float(1e-3, 1e-2), "dropout": 0.3, "epochs": 1, **nothing}
    )
    _, found = train(images, space, [[0.5, *[0.0] * len(nothing)]])
    for name, curve in found[0][1].items():
        np.testing.assert_allclose(curve, expected[0][1][name], rtol=2e-4, err_msg=name)


def test_series_are_shifted_and_scaled():
    x = np.random.default_rng(0).normal(size=(60, 40))
    data = datasets.arrays(x, np.arange(60) % 2, name="waves").reshape(40, 1)
    task = Classification(data, model=MODEL)
    space = Space(shift=Float(0.0, 0.2), scale=Float(0.0, 0.2), epochs=1, batch_size=12)
    _, found = train(task, space, [[0.0, 0.0], [1.0, 1.0]])
    losses = [found[trial][1]["train_loss"][0] for trial in (0, 1)]
    assert np.all(np.isfinite(losses))
    assert losses[0] != losses[1]


def test_tables_of_quantities_take_noise_and_mixup():
    task = Regression(datasets.diabetes(), model=MODEL)
    space = Space(input_noise=Float(0.0, 0.5), mixup=Categorical([0.0, 1.0]), epochs=1)
    _, found = train(task, space, [[0.0, 0.0], [1.0, 1.0]])
    assert all(np.isfinite(found[trial][0]) for trial in (0, 1))


def test_an_augmentation_that_does_not_fit_says_what_to_do(count_compiles):
    task = Classification(datasets.digits(), model=MODEL)
    with (
        count_compiles() as compiles,
        pytest.raises(HyperparameterError, match=r"\(64,\).*reshape\(8, 8, 1\)"),
    ):
        Engine(task, Space(rotation=Float(0.0, 20.0)), rows=2)
    assert compiles.total() == 0


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ({"flip": Float(0.0, 2.0)}, r"flip must lie in \[0, 1\]"),
        ({"scale": 1.0}, r"scale must lie in \[0, 1\)"),
        ({"rotation": Float(-20.0, 20.0)}, r"rotation must lie in \[0, 180\] degrees"),
        ({"mixup": -0.1}, r"mixup must be at least 0"),
        ({"input_noise": True}, r"input_noise must be at least 0, but may be True"),
        ({"ema": Float(0.9, 1.0)}, r"ema must lie in \[0, 1\)"),
        ({"patience": 0}, r"patience must be an integer of at least 1"),
        ({"patience": Float(1.0, 3.0)}, r"patience must be an integer"),
        ({"min_delta": 0.1}, r"Add `patience=5`"),
        ({"patience": Int(1, 3), "min_delta": -1.0}, r"min_delta must be at least 0"),
        ({"rotaton": 5.0}, r"Did you mean 'rotation'"),
    ],
)
def test_values_out_of_range_are_errors(images, entries, words):
    space = Space({"learning_rate": Float(1e-3, 1e-2), **entries})
    with pytest.raises(HyperparameterError, match=words):
        Engine(images, space, rows=2)


def test_reshaping_keeps_the_values_and_says_what_does_not_fit():
    data = datasets.digits()
    images = data.reshape(8, 8, 1)
    np.testing.assert_array_equal(images.x.reshape(-1, 64), data.x)
    assert images.class_names == data.class_names
    assert images.feature_names is None
    with pytest.raises(DataError, match=r"64 values.*\(8, 8, 3\) has 192"):
        data.reshape(8, 8, 3)
