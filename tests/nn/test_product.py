"""The product of a layer that may be passed by."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evotune.nn._product import product
from evotune.nn._traced import Size, reached

KERNEL = jax.random.normal(jax.random.key(0), (5, 3))


@pytest.mark.parametrize("shape", [(5,), (4, 5), (2, 4, 5)])
def test_it_is_the_ordinary_product_where_it_is_used(shape: tuple[int, ...]) -> None:
    """So are both gradients, whatever axes come before the last."""
    x = jax.random.normal(jax.random.key(1), shape)

    def value(x: jax.Array, kernel: jax.Array, used: jax.Array | None) -> jax.Array:
        return jnp.sum(jnp.sin(product(x, kernel, used)))

    both = jax.jit(jax.value_and_grad(value, (0, 1)))
    ours, plain = (both(x, KERNEL, used) for used in (jnp.asarray(True), None))
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(plain), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_nothing_is_computed_where_nobody_uses_it() -> None:
    """Zeros, and zeros for gradients, even of numbers that are not finite."""
    x = jnp.full((4, 5), jnp.nan)

    def value(x: jax.Array, kernel: jax.Array) -> jax.Array:
        return jnp.sum(product(x, kernel, jnp.asarray(False)))

    result, gradients = jax.value_and_grad(value, (0, 1))(x, KERNEL)
    assert result == 0.0
    for gradient in gradients:
        assert not np.asarray(gradient).any()


def test_lanes_share_one_condition() -> None:
    """Under vmap the condition stays a condition, and no select of both sides."""

    def lane(x: jax.Array, kernel: jax.Array, most: jax.Array) -> jax.Array:
        most = jax.lax.pmax(most, "lanes")
        used = reached(Size(jnp.int32(3), 3, most))
        return jnp.sum(product(x, kernel, used))

    lanes = jax.vmap(jax.grad(lane, 1), axis_name="lanes")
    x, most = jnp.ones((2, 4, 5)), jnp.asarray([0, 1])
    kernels = jnp.stack([KERNEL, KERNEL])
    text = str(jax.make_jaxpr(lanes)(x, kernels, most))
    assert "cond[" in text
    np.testing.assert_allclose(lanes(x, kernels, most), jnp.full((2, 5, 3), 4.0))


def test_sizes_say_whether_anybody_reaches_a_layer() -> None:
    """All of them must have units; plain ints and unknown sizes do not count."""
    none, some = (Size(jnp.int32(0), 8, jnp.int32(n)) for n in (0, 2))
    assert reached(4, Size(jnp.int32(0), 8)) is None
    assert bool(reached(some, 4))
    assert not bool(reached(some, none))
