"""What a training computes, counted by hand and by evotune."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen

import evotune as et
from evotune._contracts import Binding
from evotune.engine._arithmetic import count_epoch, count_work
from evotune.engine._inputs import searched_inputs


def multiply_adds(function, *structs) -> float:
    return count_work(function, *structs).multiply_adds


def struct(*shape: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, np.float32)


def test_products_and_convolutions_count_as_on_paper():
    batched = multiply_adds(jnp.matmul, struct(7, 2, 3), struct(7, 3, 5))
    assert batched == 7 * 2 * 3 * 5

    def convolve(x, kernel, groups):
        numbers = ("NHWC", "HWIO", "NHWC")
        return jax.lax.conv_general_dilated(
            x,
            kernel,
            (1, 1),
            "SAME",
            dimension_numbers=numbers,
            feature_group_count=groups,
        )

    x = struct(4, 8, 8, 6)
    plain = multiply_adds(lambda *a: convolve(*a, 1), x, struct(3, 3, 6, 10))
    assert plain == 4 * 64 * 9 * 6 * 10
    grouped = multiply_adds(lambda *a: convolve(*a, 2), x, struct(3, 3, 3, 10))
    assert grouped == plain / 2


def test_loops_and_branches_count_as_often_as_they_run():
    def product(x):
        return x @ x

    x, one = struct(4, 4), 4**3

    def scan(x):
        return jax.lax.scan(lambda c, _: (product(c), None), x, length=9)[0]

    assert multiply_adds(scan, x) == 9 * one
    assert multiply_adds(jax.jit(scan), x) == 9 * one

    def branch(x):
        return jax.lax.cond(x[0, 0] > 0, lambda x: product(product(x)), product, x)

    assert multiply_adds(branch, x) == 2 * one
    gradient = jax.grad(lambda x: jnp.sum(scan(x)))
    assert multiply_adds(gradient, x) == 3 * 9 * one


class Net(linen.Module):
    """Two layers, as a user would write them."""

    width: int

    @linen.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        return linen.Dense(3)(linen.relu(linen.Dense(self.width)(x)))


@pytest.mark.parametrize("width", [4, 32])
def test_an_epoch_of_a_users_own_network(width):
    task = et.tasks.Classification(et.datasets.wine(), model=lambda hp: Net(hp.width))
    space = et.Space(
        learning_rate=et.Float(1e-3, 1e-1, log=True),
        width=et.Categorical([4, 32]),
        batch_size=20,
    )
    bindings = {"learning_rate": Binding.TRACED, "width": Binding.STATIC}
    inputs = searched_inputs(space, bindings)
    epoch = count_epoch(task, space, inputs, {"width": width})
    rows, validation = len(task.splits.train), len(task.splits.validation)
    steps = epoch.steps
    assert steps == rows // 20
    first, second = 13 * width, width * 3
    # No gradient goes to the inputs, so the first layer has one product less.
    evaluation = validation * (first + second)
    work = 20 * steps * (2 * first + 3 * second) + evaluation
    assert epoch.work.multiply_adds == work
    assert epoch.evaluation == evaluation / work


def test_own_networks_are_cut_into_blocks_by_their_arithmetic():
    def plan(width: int) -> et.engine.Plan:
        task = et.tasks.Classification(et.datasets.wine(), model=lambda: Net(width))
        space = et.Space(learning_rate=et.Float(1e-3, 1e-1, log=True), epochs=2)
        algorithm = et.RandomSearch(batch_size=64)
        return et.plan(task, space, algorithm=algorithm, n_trials=1_000)

    small, large = plan(8).programs[0], plan(20_000).programs[0]
    assert small.lanes > large.lanes
    assert small.seconds < large.seconds
