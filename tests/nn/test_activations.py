"""Activations picked by a traced choice are those of their names."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evotune import nn
from evotune.nn import ACTIVATIONS

NAMES = tuple(ACTIVATIONS)
X = jnp.concatenate([jnp.linspace(-9.0, 9.0, 181), jnp.asarray([-40.0, 40.0, 0.0])])


@pytest.mark.parametrize(
    "options", [NAMES, ("silu", "gelu"), ("relu", "tanh", "silu"), ("elu", "tanh")]
)
def test_a_traced_choice_equals_the_name(options: tuple[str, ...]) -> None:
    """Values and slopes agree, also far out, and zero stays zero."""

    def picked(index: jax.Array, x: jax.Array) -> jax.Array:
        return nn.activation(nn.Choice(index, options), x)

    both = jax.jit(
        jax.vmap(jax.vmap(jax.value_and_grad(picked, 1), (None, 0)), (0, None))
    )
    values, slopes = both(jnp.arange(len(options)), X)
    for row, name in enumerate(options):
        value, slope = jax.vmap(jax.value_and_grad(ACTIVATIONS[name]))(X)
        np.testing.assert_allclose(values[row], value, rtol=1e-5, atol=5e-6)
        np.testing.assert_allclose(slopes[row], slope, rtol=1e-5, atol=5e-6)
        assert values[row][-1] == 0.0


def test_one_hyperbolic_tangent_serves_all_that_are_made_of_one() -> None:
    """Three activations of four need one; it was most of what the choice cost."""

    def picked(index: jax.Array, x: jax.Array) -> jax.Array:
        return nn.activation(nn.Choice(index, ("relu", "gelu", "tanh", "silu")), x)

    text = str(jax.make_jaxpr(picked)(jnp.int32(0), X))
    assert text.count("tanh ") == 1
    assert "logistic" not in text


def test_dtype_stays() -> None:
    """bfloat16 in, bfloat16 out."""
    choice = nn.Choice(jnp.int32(1), ("relu", "gelu", "silu"))
    assert nn.activation(choice, X.astype(jnp.bfloat16)).dtype == jnp.bfloat16
