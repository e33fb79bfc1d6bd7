"""Each augmentation is what plain numpy and scipy compute from the same draws."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage

from evotune import augmentation
from evotune.augmentation import amounts, switches

KEY = jax.random.key(7)
jitted = functools.cache(jax.jit)
NEAREST = {"order": 1, "mode": "nearest"}

IMAGES = {
    "brightness": (augmentation.brightness, 0.5),
    "cutout": (augmentation.cutout, 0.5),
    "flip": (lambda key, x, s, p: augmentation.flip(key, x, p * jnp.sign(s)), 1.0),
    "noise": (augmentation.noise, 0.3),
    "rotate": (augmentation.rotate, 30.0),
    "scale": (augmentation.scale, 0.4),
    "shift": (augmentation.shift, 0.3),
}
SERIES = {
    "noise": (augmentation.noise, 0.3),
    "scale_series": (augmentation.scale_series, 0.4),
    "shift_series": (augmentation.shift_series, 0.3),
}
SHAPES = {"images": (12, 9, 7, 2), "series": (12, 11, 2), "flat series": (12, 11)}
CASES = [
    *((function, strength, "images") for function, strength in IMAGES.values()),
    *((function, strength, "series") for function, strength in SERIES.values()),
    *((function, strength, "flat series") for function, strength in SERIES.values()),
]
IDS = [*IMAGES, *SERIES, *(f"{name}, no channels" for name in SERIES)]


def batch(shape):
    return jnp.asarray(np.random.default_rng(0).normal(size=shape), jnp.float32)


def close(got, expected):
    np.testing.assert_allclose(got, np.stack(expected), rtol=1e-5, atol=2e-5)


def test_rotations_are_those_of_scipy():
    x = batch(SHAPES["images"])
    angles = np.asarray(amounts(KEY, (12,), 60.0, 0.7))
    assert 0 < np.sum(angles == 0) < 12
    expected = [
        scipy.ndimage.rotate(image, angle, reshape=False, **NEAREST)
        for image, angle in zip(np.asarray(x), angles, strict=True)
    ]
    close(augmentation.rotate(KEY, x, 60.0, 0.7), expected)


def test_shifts_are_those_of_scipy():
    x = batch(SHAPES["images"])
    moves = np.asarray(amounts(KEY, (12, 2), 0.4, 0.7)) * np.asarray([9.0, 7.0])
    expected = [
        scipy.ndimage.shift(image, (*move, 0.0), **NEAREST)
        for image, move in zip(np.asarray(x), moves, strict=True)
    ]
    close(augmentation.shift(KEY, x, 0.4, 0.7), expected)


def test_zooms_are_those_of_scipy():
    x = batch(SHAPES["images"])
    factors = 1.0 + np.asarray(amounts(KEY, (12,), 0.5, 1.0))
    middle = (np.asarray([9.0, 7.0, 2.0]) - 1.0) / 2.0
    expected = []
    for image, factor in zip(np.asarray(x), factors, strict=True):
        matrix = np.asarray([1.0 / factor, 1.0 / factor, 1.0])
        zoomed = scipy.ndimage.affine_transform(
            image, matrix, offset=middle - matrix * middle, **NEAREST
        )
        expected.append(zoomed)
    close(augmentation.scale(KEY, x, 0.5), expected)


@pytest.mark.parametrize("shape", ["series", "flat series"])
def test_shifts_of_series_are_those_of_scipy(shape):
    x = batch(SHAPES[shape])
    moves = np.asarray(amounts(KEY, (12,), 0.5, 0.7)) * 11.0
    expected = [
        scipy.ndimage.shift(one, (move, *[0.0] * (one.ndim - 1)), **NEAREST)
        for one, move in zip(np.asarray(x), moves, strict=True)
    ]
    close(augmentation.shift_series(KEY, x, 0.5, 0.7), expected)


def test_scaled_series_brightness_and_flips_are_those_of_numpy():
    x = np.asarray(batch(SHAPES["series"]))
    factors = np.asarray(amounts(KEY, (12,), 0.5, 0.7))
    expected = [one * (1.0 + z) for one, z in zip(x, factors, strict=True)]
    close(augmentation.scale_series(KEY, jnp.asarray(x), 0.5, 0.7), expected)
    x = np.asarray(batch(SHAPES["images"]))
    added = np.asarray(amounts(KEY, (12,), 0.5, 0.7))
    expected = [image + b for image, b in zip(x, added, strict=True)]
    close(augmentation.brightness(KEY, jnp.asarray(x), 0.5, 0.7), expected)
    turned = np.asarray(switches(KEY, 12, 0.5))
    assert 0 < turned.sum() < 12
    expected = [
        np.fliplr(image) if on else image for image, on in zip(x, turned, strict=True)
    ]
    close(augmentation.flip(KEY, jnp.asarray(x), 0.5), expected)


def test_what_is_cut_out_is_a_rectangle_of_zeros():
    x = jnp.ones((200, 20, 10, 3))
    cut = np.asarray(augmentation.cutout(KEY, x, 0.4))
    assert set(np.unique(cut)) == {0.0, 1.0}
    centres = np.asarray(jax.random.uniform(jax.random.split(KEY)[0], (200, 2)))
    for image, (down, across) in zip(cut, centres, strict=True):
        expected = np.ones((20, 10, 3))
        rows = (np.arange(20) + 0.5) / 20
        columns = (np.arange(10) + 0.5) / 10
        inside = np.ix_(abs(rows - down) < 0.2, abs(columns - across) < 0.2)
        expected[inside] = 0.0
        np.testing.assert_array_equal(image, expected)


def test_noise_has_the_deviation_asked_for():
    x = jnp.zeros((400, 50))
    noisy = augmentation.noise(KEY, x, 0.3, 0.5)
    on = np.any(np.asarray(noisy) != 0.0, axis=1)
    assert np.mean(on) == pytest.approx(0.5, abs=0.08)
    assert np.std(np.asarray(noisy)[on]) == pytest.approx(0.3, rel=0.03)


@pytest.mark.parametrize(("function", "strength", "shape"), CASES, ids=IDS)
def test_nothing_changes_at_strength_or_probability_0(function, strength, shape):
    x = batch(SHAPES[shape])
    for pair in ((0.0, 1.0), (strength, 0.0)):
        traced = jitted(function)(KEY, x, *map(jnp.float32, pair))
        np.testing.assert_array_equal(traced, x)


@pytest.mark.parametrize(("function", "strength", "shape"), CASES, ids=IDS)
def test_probability_1_changes_every_example(function, strength, shape):
    x = batch(SHAPES[shape])
    new = jitted(function)(KEY, x, jnp.float32(strength), jnp.float32(1.0))
    new = np.asarray(new)
    assert new.shape == x.shape
    assert new.dtype == x.dtype
    assert np.all(np.any(np.reshape(new != x, (12, -1)), axis=1))
    assert np.all(np.isfinite(new))


@pytest.mark.parametrize(("function", "strength", "shape"), CASES, ids=IDS)
def test_a_mixed_population_is_what_its_members_are_alone(function, strength, shape):
    x = batch(SHAPES[shape])
    keys = jax.random.split(KEY, 3)
    strengths = jnp.asarray([0.0, strength / 2, strength], jnp.float32)
    odds = jnp.asarray([1.0, 0.5, 1.0], jnp.float32)
    together = jax.jit(jax.vmap(function, in_axes=(0, None, 0, 0)))
    everyone = together(keys, x, strengths, odds)
    for member in range(3):
        alone = jitted(function)(keys[member], x, strengths[member], odds[member])
        np.testing.assert_allclose(everyone[member], alone, rtol=1e-5, atol=1e-5)


def test_mixtures_are_those_of_numpy():
    x = np.asarray(batch((8, 5)))
    mixed, weight = augmentation.mixup(KEY, jnp.asarray(x), jnp.float32(0.4))
    share = float(jax.random.beta(KEY, 0.4, 0.4))
    assert float(weight) == pytest.approx(share, rel=1e-5)
    expected = share * x + (1.0 - share) * np.roll(x, 1, axis=0)
    np.testing.assert_allclose(mixed, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(augmentation.partners(x), np.roll(x, 1, axis=0))


def test_weights_of_mixtures_follow_the_beta_distribution():
    keys = jax.random.split(KEY, 2000)
    alphas = jnp.asarray([0.0, 0.2, 1.0, 4.0], jnp.float32)
    x = jnp.ones((2, 1))
    draw = jax.vmap(lambda key, a: augmentation.mixup(key, x, a)[1], in_axes=(0, None))
    weights = np.asarray(jax.jit(jax.vmap(draw, in_axes=(None, 0)))(keys, alphas))
    assert np.all(weights[0] == 1.0)
    for alpha, drawn in zip([0.2, 1.0, 4.0], weights[1:], strict=True):
        result = scipy.stats.kstest(drawn, scipy.stats.beta(alpha, alpha).cdf)
        assert result.pvalue > 0.01, alpha


def test_mixup_with_alpha_0_changes_nothing():
    x = batch((8, 5))
    mixed, weight = jax.jit(augmentation.mixup)(KEY, x, jnp.float32(0.0))
    np.testing.assert_array_equal(mixed, x)
    assert weight == 1.0


def test_an_augmentation_changes_no_draw_of_another():
    x = batch(SHAPES["images"])
    alone, _ = augmentation.augment(KEY, x, {"rotation": 20.0})
    flipped, _ = augmentation.augment(KEY, x, {"flip": 0.0, "rotation": 20.0})
    mixed, weight = augmentation.augment(KEY, x, {"rotation": 20.0, "mixup": 0.0})
    np.testing.assert_array_equal(flipped, alone)
    np.testing.assert_array_equal(mixed, alone)
    assert weight == 1.0


def test_without_augmentations_the_batch_is_the_same_array():
    x = batch(SHAPES["images"])
    new, weight = augmentation.augment(KEY, x, {"learning_rate": 0.1})
    assert new is x
    assert weight is None
