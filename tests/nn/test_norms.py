"""Norms of padded units are flax's norms of the units in use."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen

from evotune import nn
from evotune._errors import HyperparameterError

ACTIVE, CAPACITY, ROWS = 5, 9, 6
PAIRS = {
    "layer": (nn.LayerNorm, linen.LayerNorm(), {}),
    "rms": (nn.RMSNorm, linen.RMSNorm(), {}),
    "batch": (
        nn.BatchNorm,
        linen.BatchNorm(momentum=0.9),
        {"use_running_average": False},
    ),
}


def size(active=ACTIVE):
    return nn.Size(jnp.int32(active), CAPACITY)


def inputs(*shape):
    return 3.0 * jax.random.normal(jax.random.key(0), (*shape, ACTIVE)) + 1.0


def padded(x):
    return jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, CAPACITY - ACTIVE)])


def cut(tree):
    return jax.tree.map(lambda leaf: leaf[..., :ACTIVE], tree)


def rest(tree):
    return jnp.concatenate(
        [leaf[..., ACTIVE:].ravel() for leaf in jax.tree.leaves(tree)]
    )


def close(got, expected, **tolerance):
    tolerance = {"rtol": 1e-5, "atol": 1e-6, **tolerance}
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, **tolerance), got, expected
    )


def perturbed(params):
    """Away from the initial ones and zeros, where they are in use."""
    return jax.tree.map(
        lambda p: p + jnp.where(jnp.arange(p.size) < ACTIVE, 0.3, 0.0), params
    )


@pytest.mark.parametrize("shape", [(ROWS,), (ROWS, 4, 3)], ids=["2d", "4d"])
@pytest.mark.parametrize("name", PAIRS)
def test_outputs_and_gradients_are_flax_of_the_active_units(name, shape):
    make, reference, kwargs = PAIRS[name]
    x, key = inputs(*shape), jax.random.key(1)
    weights = jax.random.normal(jax.random.key(2), x.shape)
    norm = make(size())
    variables = norm.init(key, padded(x), **kwargs)
    close(cut(variables), reference.init(key, x, **kwargs))
    assert not jnp.any(rest(variables))
    variables = {**variables, "params": perturbed(variables["params"])}

    def value(module, params, collections, x, weights):
        y, updated = module.apply(
            {**collections, "params": params}, x, mutable=["batch_stats"], **kwargs
        )
        return jnp.sum(y * weights), (y, updated)

    both = []
    for module, tree, data, w in (
        (norm, variables, padded(x), padded(weights)),
        (reference, cut(variables), x, weights),
    ):
        collections = {k: v for k, v in tree.items() if k != "params"}
        grads, extra = jax.jit(
            jax.grad(
                lambda p, d, m=module, c=collections, w=w: value(m, p, c, d, w),
                argnums=(0, 1),
                has_aux=True,
            )
        )(tree["params"], data)
        both.append((grads, extra))
    close(cut(both[0]), both[1], rtol=2e-5, atol=3e-6)
    assert not jnp.any(rest(both[0]))


@pytest.mark.parametrize("name", PAIRS)
def test_unpadded_norms_are_flax(name):
    make, reference, kwargs = PAIRS[name]
    x, key = inputs(ROWS), jax.random.key(1)
    got = make(ACTIVE).init_with_output(key, x, **kwargs)
    close(got, reference.init_with_output(key, x, **kwargs))


def test_evaluation_uses_the_running_statistics():
    x = inputs(ROWS)
    norm, reference = nn.BatchNorm(size(), momentum=0.9), linen.BatchNorm(momentum=0.9)
    variables = norm.init(jax.random.key(0), padded(x), use_running_average=True)
    plain = cut(variables)
    for _ in range(3):
        _, new = norm.apply(
            variables, padded(x), use_running_average=False, mutable=["batch_stats"]
        )
        variables |= new
        _, new = reference.apply(
            plain, x, use_running_average=False, mutable=["batch_stats"]
        )
        plain |= new
    close(cut(variables), plain)
    y = norm.apply(variables, padded(x), use_running_average=True)
    close(cut(y), reference.apply(plain, x, use_running_average=True))
    assert not jnp.any(rest((variables, y)))


@pytest.mark.parametrize("name", PAIRS)
def test_whatever_stands_at_unused_units_does_not_count(name):
    make, _, kwargs = PAIRS[name]
    x = inputs(ROWS)
    norm = make(size())
    variables = norm.init(jax.random.key(0), padded(x), **kwargs)
    dirty = padded(x).at[:, ACTIVE:].set(7.0)
    apply = lambda data: norm.apply(  # noqa: E731
        variables, data, mutable=["batch_stats"], **kwargs
    )[0]
    close(apply(dirty), apply(padded(x)))
    if name != "batch":  # over the batch nothing crosses units
        slopes = jax.grad(lambda data: jnp.sum(apply(data) ** 3))(dirty)
        assert not jnp.any(rest(slopes))


@pytest.mark.parametrize("name", PAIRS)
def test_no_active_unit_gives_zeros_and_finite_gradients(name):
    make, _, kwargs = PAIRS[name]
    x = jnp.zeros((ROWS, CAPACITY))
    norm = make(size(0))
    variables = norm.init(jax.random.key(0), x, **kwargs)

    def total(params, x):
        y, _ = norm.apply(
            {**variables, "params": params}, x, mutable=["batch_stats"], **kwargs
        )
        return jnp.sum(y)

    value, grads = jax.value_and_grad(total, argnums=(0, 1))(variables["params"], x)
    assert value == 0.0
    assert all(not jnp.any(g) for g in jax.tree.leaves(grads))


@pytest.mark.parametrize(
    "optimizer",
    [optax.adamw(0.1, weight_decay=0.5), optax.lion(0.1, weight_decay=0.5)],
    ids=["adamw", "lion"],
)
@pytest.mark.parametrize("kind", range(4), ids=nn.NORMS)
def test_parameters_without_use_stay_at_zero_under_any_optimizer(kind, optimizer):
    norm = nn.Norm(nn.Choice(jnp.int32(kind), nn.NORMS), size())
    x = padded(inputs(ROWS))
    variables = norm.init(jax.random.key(0), x, use_running_average=True)
    collections = {"batch_stats": variables["batch_stats"]}
    params = variables["params"]

    def loss(params):
        y, _ = norm.apply(
            {**collections, "params": params},
            x,
            use_running_average=False,
            mutable=["batch_stats"],
        )
        return jnp.sum((y - 1.0) ** 2)

    state = optimizer.init(params)
    with jax.numpy_dtype_promotion("standard"):  # optax is not strict
        for _ in range(5):
            updates, state = optimizer.update(jax.grad(loss)(params), state, params)
            params = optax.apply_updates(params, updates)
    if nn.NORMS[kind] == "none":
        assert not any(jnp.any(p) for p in jax.tree.leaves(params))
    else:
        assert not jnp.any(rest(params))
        assert jnp.all((params["bias"][:ACTIVE] != 0.0) == (nn.NORMS[kind] != "rms"))


def test_a_choice_picks_each_members_norm_in_one_program():
    x = padded(inputs(ROWS))

    def member(index):
        norm = nn.Norm(nn.Choice(index, nn.NORMS), size(), momentum=0.9)
        variables = norm.init(jax.random.key(0), x, use_running_average=True)
        return norm.apply(
            variables, x, use_running_average=False, mutable=["batch_stats"]
        )

    outputs, stats = jax.jit(jax.vmap(member))(jnp.arange(4))
    key = jax.random.key(0)
    close(outputs[0], x)
    close(cut(outputs[1]), linen.LayerNorm().init_with_output(key, inputs(ROWS))[0])
    batch = linen.BatchNorm(use_running_average=False, momentum=0.9)
    variables = batch.init(key, inputs(ROWS))
    y, updated = batch.apply(variables, inputs(ROWS), mutable=["batch_stats"])
    close(cut(outputs[2]), y)
    close(cut(jax.tree.map(lambda s: s[2], stats)), updated)
    close(cut(outputs[3]), linen.RMSNorm().init_with_output(key, inputs(ROWS))[0])
    assert not jnp.any(rest((outputs, stats)))


def test_a_norm_has_the_parameters_of_its_kinds():
    options = {"none": set(), "rms": {"scale"}, "layer": {"scale", "bias"}}
    for kind, names in options.items():
        assert set(nn.norm_params(kind, ACTIVE, jnp.dtype(jnp.float32))) == names
        norm = nn.Norm(kind, ACTIVE)
        made = norm.init(jax.random.key(0), inputs(ROWS), use_running_average=True)
        assert set(made.get("params", {})) == names
    both = nn.Choice(jnp.int32(1), ("none", "rms"))
    assert set(nn.norm_params(both, ACTIVE, jnp.dtype(jnp.float32))) == {"scale"}


def test_statistics_of_half_precision_are_computed_in_single():
    x = inputs(ROWS).astype(jnp.bfloat16)
    norm = nn.LayerNorm(ACTIVE)
    y, variables = norm.init_with_output(jax.random.key(0), x)
    assert y.dtype == jnp.bfloat16
    assert variables["params"]["scale"].dtype == jnp.bfloat16
    expected = linen.LayerNorm().init_with_output(
        jax.random.key(0), x.astype(jnp.float32)
    )[0]
    close(y.astype(jnp.float32), expected, rtol=1e-2, atol=1e-2)


def test_an_unknown_norm_names_the_nearest():
    with pytest.raises(HyperparameterError, match="Did you mean 'batch'"):
        nn.norm_kinds("bach")
    with pytest.raises(ValueError, match="expects 9 units, but got x with shape"):
        nn.LayerNorm(size()).init(jax.random.key(0), inputs(ROWS))
