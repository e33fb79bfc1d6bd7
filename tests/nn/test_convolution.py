"""Convolution and pooling by slices are XLA's own; padded layers are Flax's plain."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen

from evotune import nn

close = {"rtol": 1e-5, "atol": 1e-5}


def xla(x, w, **options):
    axes = x.ndim - 2
    data = (0, axes + 1, *range(1, axes + 1))
    numbers = (data, (axes + 1, axes, *range(axes)), data)
    return jax.lax.conv_general_dilated(
        x, w, dimension_numbers=jax.lax.ConvDimensionNumbers(*numbers), **options
    )


def ours(x, w, **options):
    axes = x.ndim - 2
    data = (0, axes + 1, *range(1, axes + 1))
    numbers = (data, (axes + 1, axes, *range(axes)), data)
    return nn.conv_general_dilated(
        x, w, dimension_numbers=jax.lax.ConvDimensionNumbers(*numbers), **options
    )


def uses_xla(function, *arguments):
    return "conv_general_dilated" in str(jax.make_jaxpr(function)(*arguments))


CASES = [
    ((11, 6), (3,), 8, {"padding": "SAME"}),
    ((12, 6), (4,), 8, {"padding": "SAME", "window_strides": (2,)}),
    ((12, 6), (5,), 8, {"padding": [(4, 0)]}),
    ((9, 7, 4), (3, 3), 6, {"padding": "SAME"}),
    ((9, 7, 4), (2, 3), 6, {"padding": "VALID"}),
    ((9, 8, 4), (3, 3), 6, {"padding": "SAME", "window_strides": (2, 2)}),
    ((9, 8, 4), (1, 1), 6, {"padding": "SAME", "window_strides": (2, 2)}),
    ((9, 8, 4), (3, 2), 6, {"padding": [(2, 1), (0, 3)]}),
    ((9, 8, 4), (3, 3), 6, {"padding": "SAME", "rhs_dilation": (2, 3)}),
    ((9, 8, 4), (3, 3), 6, {"padding": "SAME_LOWER", "window_strides": (3, 2)}),
    ((9, 8, 4), (3, 3), 6, {"padding": "SAME", "feature_group_count": 2}),
    ((9, 8, 4), (3, 3), 8, {"padding": "SAME", "feature_group_count": 4}),
    ((5, 4, 6, 2), (3, 2, 3), 3, {"padding": "SAME"}),
]


@pytest.mark.parametrize(("shape", "window", "features", "options"), CASES)
def test_values_and_gradients_are_those_of_xla(shape, window, features, options):
    options = {"window_strides": (1,) * len(window), **options}
    groups = options.get("feature_group_count", 1)
    x = jax.random.normal(jax.random.key(0), (3, *shape))
    w = jax.random.normal(jax.random.key(1), (*window, shape[-1] // groups, features))

    def value_and_grads(conv):
        @jax.jit
        def of(x, w):
            out, pull = jax.vjp(lambda x, w: conv(x, w, **options), x, w)
            return out, pull(jnp.cos(out))

        return of(x, w)

    assert not uses_xla(lambda x, w: ours(x, w, **options), x, w)
    got, expected = value_and_grads(ours), value_and_grads(xla)
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(
            a, b, rtol=1e-5, atol=1e-5 * float(jnp.max(jnp.abs(b)))
        )


@pytest.mark.parametrize(
    "options",
    [
        {"lhs_dilation": (2, 2), "padding": [(1, 1), (1, 1)]},
        {"batch_group_count": 3},
        {"preferred_element_type": jnp.float32},
    ],
)
def test_what_is_not_covered_is_left_to_xla(options):
    x = jax.random.normal(jax.random.key(0), (3, 8, 8, 4))
    w = jax.random.normal(jax.random.key(1), (3, 3, 4, 6))
    options = {"window_strides": (1, 1), "padding": "SAME", **options}
    assert uses_xla(lambda x, w: ours(x, w, **options), x, w)
    np.testing.assert_array_equal(ours(x, w, **options), xla(x, w, **options))


def test_other_layouts_and_empty_outputs_are_left_to_xla():
    x, w = jnp.ones((2, 4, 5, 5)), jnp.ones((6, 4, 3, 3))
    expected = jax.lax.conv_general_dilated(x, w, (1, 1), "SAME")
    np.testing.assert_array_equal(
        nn.conv_general_dilated(x, w, (1, 1), "SAME"), expected
    )
    options = {"window_strides": (1,), "padding": "VALID"}
    assert ours(jnp.ones((2, 2, 1)), jnp.ones((3, 1, 4)), **options).shape == (2, 0, 4)


def test_a_population_of_kernels_is_a_loop_over_members():
    x = jax.random.normal(jax.random.key(0), (4, 6, 6, 3))
    w = jax.random.normal(jax.random.key(1), (5, 3, 3, 3, 2))
    options = {"window_strides": (1, 1), "padding": "SAME"}
    together = jax.jit(jax.vmap(lambda w: ours(x, w, **options)))(w)
    for member, kernel in zip(together, w, strict=True):
        np.testing.assert_allclose(member, xla(x, kernel, **options), **close)


@pytest.mark.parametrize(
    ("window", "strides", "padding"),
    [
        ((2, 2), (2, 2), "VALID"),
        ((2, 3), (2, 3), "VALID"),
        ((3, 3), (2, 2), "SAME"),
        ((3, 3), None, ((1, 1), (0, 2))),
    ],
)
def test_pooling_is_that_of_flax(window, strides, padding):
    # Few distinct values, so that windows have ties.
    x = jax.random.randint(jax.random.key(0), (3, 9, 8, 4), 0, 4).astype(jnp.float32)
    for init, reduce_fn in (
        (-jnp.inf, jax.lax.max),
        (jnp.inf, jax.lax.min),
        (0.0, jax.lax.add),
    ):
        results = []
        for pool in (nn.reduce_windows, linen.pooling.pool):

            @jax.jit
            def one(x, pool=pool, init=init, reduce_fn=reduce_fn):
                out, pull = jax.vjp(
                    lambda x: pool(x, init, reduce_fn, window, strides, padding), x
                )
                slopes = jnp.arange(out.size, dtype=x.dtype).reshape(out.shape)
                return out, *pull(slopes)

            results.append(one(x))
        for a, b in zip(*results, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6)


def test_pooling_keeps_not_a_number_and_takes_any_batch_axes():
    x = jnp.zeros((2, 3, 4, 4, 1)).at[1, 2, 0, 1, 0].set(jnp.nan)
    for first in (jnp.zeros(()), jnp.asarray(5.0)):
        y = x.at[1, 2, 0, 0, 0].set(first)
        out = nn.reduce_windows(y, -jnp.inf, jax.lax.max, (2, 2), (2, 2), "VALID")
        assert out.shape == (2, 3, 2, 2, 1)
        assert jnp.isnan(out[1, 2, 0, 0, 0])
    assert nn.reduce_windows(
        x[0, 0], -jnp.inf, jax.lax.max, (2, 2), (2, 2), "VALID"
    ).shape == (2, 2, 1)


def test_a_traced_choice_of_pooling_picks_one():
    x = jax.random.normal(jax.random.key(0), (2, 5, 1, 3))
    for index, kind in enumerate(nn.POOLS):
        choice = nn.Choice(jnp.int32(index), nn.POOLS)
        plain = getattr(linen, f"{kind[:3].replace('ave', 'avg')}_pool")
        with jax.numpy_dtype_promotion("standard"):  # Flax is not strict
            expected = plain(x, (2, 1), strides=(2, 1))
        np.testing.assert_allclose(nn.pool(choice, x), expected, rtol=1e-6)
    with pytest.raises(ValueError, match=r"pool must be one of.*'mean'"):
        nn.pool("mean", x)


def padded(value, capacity):
    return nn.Size(jnp.int32(value), capacity)


@pytest.mark.parametrize(("size", "capacity"), [(1, 5), (2, 5), (3, 6), (4, 6), (5, 7)])
@pytest.mark.parametrize("axes", [1, 2])
def test_padded_conv_is_the_plain_flax_layer_of_its_true_size(size, capacity, axes):
    spatial = (8, 7)[:axes]
    x = jax.random.normal(jax.random.key(0), (3, *spatial, 3))
    wide = jnp.pad(x, [(0, 0)] * (axes + 1) + [(0, 2)])
    layer = nn.Conv(padded(4, 9), padded(size, capacity), inputs=padded(3, 5))
    variables = jax.jit(layer.init)(jax.random.key(2), wide)
    first = nn.first_tap(size, capacity)
    cut = (slice(first, first + size),) * axes
    small = {
        "params": {
            "kernel": variables["params"]["kernel"][(*cut, slice(3), slice(4))],
            "bias": variables["params"]["bias"][:4],
        }
    }
    flax = linen.Conv(4, (size,) * axes)

    def value_and_grads(module, variables, x):
        def loss(p):
            return jnp.sum(jnp.sin(module.apply(p, x)))

        return jax.jit(jax.value_and_grad(loss))(variables)

    value, grads = value_and_grads(layer, variables, wide)
    expected, expected_grads = value_and_grads(flax, small, x)
    assert float(value) == pytest.approx(float(expected), rel=1e-5)
    kernel = grads["params"]["kernel"]
    np.testing.assert_allclose(
        kernel[(*cut, slice(3), slice(4))],
        expected_grads["params"]["kernel"],
        rtol=1e-4,
        atol=1e-5,
    )
    outside = kernel.at[(*cut, slice(3), slice(4))].set(0.0)
    assert not jnp.any(outside[..., :4])  # beyond, the next layer has zeros
    plain = jax.jit(nn.Conv(4, size).init)(jax.random.key(2), x)
    for name, value in plain["params"].items():
        wanted = small["params"][name]
        np.testing.assert_allclose(value, wanted, rtol=1e-6, err_msg=name)


def test_initial_variance_is_one_over_the_active_fan_in():
    for size, inputs in itertools.product((1, 3, 5), (4, 16)):
        window = (padded(size, 5),) * 2
        shape = (window, padded(inputs, 16), 400)
        (kernel,) = nn.conv_normals(jax.random.key(0), [shape], jnp.float32)
        used = float(jnp.sum(kernel != 0))
        assert used == size * size * inputs * 400
        variance = float(jnp.sum(kernel**2)) / used
        assert variance * size * size * inputs == pytest.approx(1.0, rel=0.1)


def test_no_two_entries_share_a_draw():
    shapes = [((3, 3), 4, 5), ((5,), 6, 7), ((), 300, 8), ((2, 2, 3), 2, 2)]
    kernels = nn.conv_normals(jax.random.key(0), shapes, jnp.float32)
    for kernel, (window, inputs, outputs) in zip(kernels, shapes, strict=True):
        assert kernel.shape == (*window, inputs, outputs)
        assert jnp.unique(kernel).size >= kernel.size - 2


def test_what_conv_cannot_do_is_an_error():
    x = jnp.ones((2, 6, 6, 3))
    with pytest.raises(ValueError, match=r"5 input channels.*\(2, 6, 6, 3\)"):
        nn.Conv(4, inputs=5).init(jax.random.key(0), x)
    with pytest.raises(ValueError, match=r"axis of channels"):
        nn.Conv(4).init(jax.random.key(0), x[0, 0])
    with pytest.raises(ValueError, match=r"strides=2"):
        nn.Conv(4, padded(3, 5), strides=2).init(jax.random.key(0), x)


@pytest.mark.parametrize("train", [True, False])
def test_batch_norm_is_that_of_flax_and_leaves_unused_channels_at_zero(train):
    x = jax.random.normal(jax.random.key(0), (6, 4, 3)) + 1.0
    wide = jnp.pad(x, [(0, 0), (0, 0), (0, 2)])
    norm, flax = nn.BatchNorm(padded(3, 5)), linen.BatchNorm(momentum=0.9)
    variables = norm.init(jax.random.key(1), wide, use_running_average=False)
    plain = flax.init(jax.random.key(1), x, use_running_average=False)
    assert jax.tree.structure(variables) == jax.tree.structure(plain)
    out, updated = norm.apply(
        variables, wide, use_running_average=not train, mutable=["batch_stats"]
    )
    expected, statistics = flax.apply(
        plain, x, use_running_average=not train, mutable=["batch_stats"]
    )
    np.testing.assert_allclose(out[..., :3], expected, **close)
    assert not jnp.any(out[..., 3:])
    for a, b in zip(jax.tree.leaves(updated), jax.tree.leaves(statistics), strict=True):
        np.testing.assert_allclose(a[:3], b, **close)


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_a_centred_window_with_strides_is_padded_by_half_of_it(size):
    x = jax.random.normal(jax.random.key(0), (2, 7, 6, 3))
    layer = nn.Conv(4, nn.Size(jnp.int32(size), 5), inputs=3, strides=2, centred=True)
    y, variables = layer.init_with_output(jax.random.key(1), x)
    first = nn.first_tap(size, 5)
    taps = slice(first, first + size)
    kernel = variables["params"]["kernel"][taps, taps]
    padding = [((size - 1) // 2, size // 2)] * 2
    expected = xla(x, kernel, window_strides=(2, 2), padding=padding)
    np.testing.assert_allclose(y, expected, **close)
    beside = nn.Conv(4, size, inputs=3).apply(
        {"params": {**variables["params"], "kernel": kernel}}, x
    )
    np.testing.assert_allclose(y, beside[:, ::2, ::2], **close)
