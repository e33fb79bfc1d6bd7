"""Padded attention and embeddings are flax's of the true size."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen

from evotune import nn
from evotune.nn._scores import scores

HEADS, SIZE, FEATURES = 3, 5, 6
TRUE = {
    "query": {"kernel": (FEATURES, HEADS, SIZE), "bias": (HEADS, SIZE)},
    "key": {"kernel": (FEATURES, HEADS, SIZE), "bias": (HEADS, SIZE)},
    "value": {"kernel": (FEATURES, HEADS, SIZE), "bias": (HEADS, SIZE)},
    "out": {"kernel": (HEADS, SIZE, FEATURES), "bias": (FEATURES,)},
}


def size(active, capacity):
    return nn.Size(jnp.int32(active), capacity)


def layer(**more):
    return nn.MultiHeadAttention(
        size(HEADS, 4), size(SIZE, 8), size(FEATURES, 9), **more
    )


def cut(tree):
    return jax.tree.map(
        lambda leaf, shape: np.asarray(leaf)[tuple(map(slice, shape))],
        dict(tree),
        TRUE,
        is_leaf=lambda node: isinstance(node, tuple),
    )


def used(tree):
    return sum(np.count_nonzero(leaf) for leaf in jax.tree.leaves(tree))


def close(got, expected, **tolerance):
    tolerance = {"rtol": 1e-5, "atol": 1e-6, **tolerance}
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, **tolerance), got, expected
    )


@pytest.fixture(scope="module")
def x():
    return jax.random.normal(jax.random.key(0), (2, 7, FEATURES))


def padded(x):
    return jnp.pad(x, [(0, 0), (0, 0), (0, 9 - FEATURES)])


@pytest.fixture(scope="module")
def variables(x):
    return jax.device_get(
        jax.jit(lambda k: layer().init(k, padded(x), deterministic=True))(
            jax.random.key(1)
        )
    )


@pytest.mark.parametrize("causal", [False, True, jnp.asarray(True)])
@pytest.mark.parametrize("rate", [0.0, 0.3])
def test_attention_is_flax_of_the_heads_in_use(x, variables, rate, causal):
    masked = layer(dropout=jnp.float32(rate), causal=causal)
    reference = linen.MultiHeadDotProductAttention(
        num_heads=HEADS, qkv_features=HEADS * SIZE, out_features=FEATURES,
        dropout_rate=rate,
    )  # fmt: skip
    order = None if causal is False else linen.make_causal_mask(x[..., 0])
    rngs = {"dropout": jax.random.key(5)}
    weights = jax.random.normal(jax.random.key(2), x.shape)

    def through_evotune(params, x):
        y = masked.apply({"params": params}, x, deterministic=False, rngs=rngs)
        return jnp.sum(y * padded(weights)), y

    def through_flax(params, x):
        y = reference.apply(
            {"params": params}, x, mask=order, deterministic=False, rngs=rngs
        )
        return jnp.sum(y * weights), y

    grads, y = jax.device_get(
        jax.jit(jax.grad(through_evotune, argnums=(0, 1), has_aux=True))(
            variables["params"], padded(x)
        )
    )
    slopes, expected = jax.jit(jax.grad(through_flax, argnums=(0, 1), has_aux=True))(
        cut(variables["params"]), x
    )
    close(y[..., :FEATURES], expected)
    close((cut(grads[0]), grads[1][..., :FEATURES]), slopes, atol=1e-5)
    assert used(grads[0]) == used(cut(grads[0]))
    assert not np.any(y[..., FEATURES:])
    assert not np.any(grads[1][..., FEATURES:])


def test_initial_values_do_not_depend_on_padding(x, variables):
    alone = nn.MultiHeadAttention(HEADS, SIZE, FEATURES)
    init = jax.jit(lambda key: alone.init(key, x, deterministic=True))
    plain = init(jax.random.key(1))["params"]
    close(cut(variables["params"]), dict(plain), rtol=1e-6)
    assert used(variables) == used(plain)
    wide = nn.MultiHeadAttention(8, 16, 64)
    kernels = jax.jit(lambda k: wide.init(k, jnp.ones((1, 2, 64)), deterministic=True))(
        jax.random.key(0)
    )["params"]
    for name, inputs in (("query", 64), ("out", 128)):
        variance = float(jnp.var(kernels[name]["kernel"]) * inputs)
        assert variance == pytest.approx(1.0, rel=0.05)


def test_a_mask_hides_positions(x, variables):
    seen = jnp.arange(7)[None, None, None] < 4
    apply = jax.jit(
        lambda x: layer().apply(variables, x, deterministic=True, mask=seen)
    )
    changed = padded(x.at[:, 4:].add(1.0))
    close(apply(padded(x))[:, :4], apply(changed)[:, :4])


def test_embed_is_flax_of_the_units_in_use():
    symbols = jnp.asarray([[0, 3, 9], [2, 2, 1]])
    masked = nn.Embed(10, size(4, 8))
    y, variables = masked.init_with_output(jax.random.key(0), symbols)
    table = variables["params"]["embedding"]
    expected = linen.Embed(10, 4).apply(
        {"params": {"embedding": table[:, :4]}}, symbols
    )
    np.testing.assert_array_equal(y[..., :4], expected)
    assert not jnp.any(table[:, 4:])
    alone = nn.Embed(10, 4).init(jax.random.key(0), symbols)["params"]["embedding"]
    np.testing.assert_array_equal(table[:, :4], alone)
    grads = jax.grad(lambda v: jnp.sum(masked.apply(v, symbols)[..., :4]))(variables)
    assert not jnp.any(grads["params"]["embedding"][:, 4:])
    with pytest.raises(ValueError, match="Embed takes integers, but got float32"):
        masked.apply(variables, jnp.ones(3))


def test_sinusoids_are_those_of_the_units_in_use():
    plain = nn.sinusoids(6, 5)
    position, unit = np.arange(6)[:, None], np.arange(5)[None]
    angle = position / 10_000.0 ** (2 * (unit // 2) / 5)
    close(plain, np.where(unit % 2 == 0, np.sin(angle), np.cos(angle)), atol=1e-5)
    masked = nn.sinusoids(6, size(5, 8))
    close(masked[:, :5], plain)
    assert not jnp.any(masked[:, 5:])


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_gradients_of_scores_are_those_of_the_plain_product(dtype) -> None:
    query, key, weights = (
        jax.random.normal(jax.random.key(seed), shape, dtype)
        for seed, shape in enumerate(
            [(2, 3, 7, 4, 5), (2, 3, 7, 4, 5), (2, 3, 4, 7, 7)]
        )
    )

    def plain(query, key):
        return jnp.einsum("...qhn,...khn->...hqk", query, key)

    def gradients(product):
        return jax.grad(lambda *qk: (product(*qk) * weights).sum(), (0, 1))(query, key)

    tolerance = 1e-6 if dtype == jnp.float32 else 2e-2
    np.testing.assert_array_equal(scores(query, key), plain(query, key))
    for got, expected in zip(gradients(scores), gradients(plain), strict=True):
        assert got.dtype == dtype
        np.testing.assert_allclose(
            got.astype(np.float32),
            expected.astype(np.float32),
            rtol=tolerance,
            atol=tolerance,
        )
