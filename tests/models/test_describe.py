"""A description counts what a model has."""

import itertools

import jax
import pytest
from flax import linen, nnx

from evotune import datasets
from evotune._errors import HyperparameterError
from evotune.models import MLP, Info, describe, parameter_count
from evotune.tasks import Classification

INFO = Info(input_shape=(7,), num_outputs=3)


def test_an_mlp_has_the_parameters_of_its_layers():
    params = {"width_0": 20, "width_1": 11, "depth": 2, "learning_rate": 0.1}
    found = describe(MLP(), params, INFO)
    sizes = [7, 20, 11, 3]
    assert found.parameters == sum((a + 1) * b for a, b in itertools.pairwise(sizes))
    assert [layer.name for layer in found.layers] == ["hidden_0", "hidden_1", "output"]
    assert [layer.outputs for layer in found.layers] == [(20,), (11,), (3,)]
    text = repr(found)
    for word in ("MLPModule of inputs [7]", "kernel [20, 11]", "231", "total"):
        assert word in text


def test_running_statistics_are_told_apart():
    model, params = MLP(norm="batch"), {"width": 5, "depth": 1}
    found = describe(model, params, INFO)
    assert found.parameters == 8 * 5 + 10 + 6 * 3
    assert parameter_count(model, params, INFO) == found.parameters
    assert found.statistics == 10
    assert "10 running statistics" in repr(found)


def test_a_task_says_the_shapes():
    task = Classification(datasets.wine())
    found = describe(task.model, {"net.width": 4}, task)
    assert found.inputs == (13,)
    assert found.layers[0].weights == {"bias": (4,), "kernel": (13, 4)}


def test_modules_of_the_users_own_are_described():
    class Net(linen.Module):
        width: int

        @linen.compact
        def __call__(self, x, train: bool):
            x = linen.Dense(self.width)(x)
            x = linen.BatchNorm(use_running_average=not train)(x)
            return linen.Dense(3)(x)

    found = describe(lambda hp: Net(hp.width), {"width": 4}, INFO)
    assert found.parameters == 8 * 4 + 8 + 5 * 3
    assert found.layers[1].name == "BatchNorm_0"
    linear = lambda hp, rngs: nnx.Linear(7, hp.net.width, rngs=rngs)  # noqa: E731
    found = describe(linear, {"net.width": 3}, INFO)
    assert found.parameters == parameter_count(linear, {"net.width": 3}, INFO) == 8 * 3
    assert "Linear" in repr(found)
    with pytest.raises(HyperparameterError, match="reads hyperparameter 'width'"):
        describe(lambda hp: Net(hp.width), {"depth": 4}, INFO)


def test_without_shapes_it_says_what_is_missing():
    with pytest.raises(TypeError, match="Pass the task, or"):
        describe(MLP(), {}, None)
    with pytest.raises(TypeError, match="Pass the task, or"):
        parameter_count(MLP(), {}, None)


def test_nothing_is_computed():
    before = sum(array.nbytes for array in jax.live_arrays())
    found = describe(MLP(width=100_000, depth=3), {}, INFO)
    assert found.parameters > 2e10
    assert sum(array.nbytes for array in jax.live_arrays()) - before < 1e6
