"""The surrogate's mathematics, beside scikit-learn and SciPy in double precision."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import erfcx
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import Matern, WhiteKernel

from evotune.algorithms._archive import normal_scores
from evotune.algorithms._batch import believer_batch
from evotune.algorithms._cube import canonicalise
from evotune.algorithms._expected_improvement import log_expected_improvement, log_h
from evotune.algorithms._gaussian_process import (
    Hyperparameters,
    condition,
    noise_variance,
)
from evotune.algorithms._kernel import covariance, squared_differences
from evotune.algorithms._marginal_likelihood import Prior, _slope, most_likely
from evotune.testing import GEOMETRIES, choice, cube, floating, integer
from evotune.testing._haste import hasty_jit

SPACE = cube(floating(), integer(5), choice(3), floating())
PRIOR = Prior(length=0.3, length_spread=1.0, noise=0.01, noise_spread=1.5)
LEARNT = Hyperparameters(
    log_lengths=jnp.log(jnp.asarray([0.3, 0.7, 1.5, 0.9])),
    log_noise=jnp.log(jnp.float32(0.02)),
)


def _rows(count: int, seed: int, geometry=SPACE) -> jax.Array:
    x = jax.random.uniform(jax.random.key(seed), (count, geometry.dimensions))
    return canonicalise(x, geometry)


def _one_hot(x: jax.Array) -> np.ndarray:
    """The same space for scikit-learn: categories at the corners of a simplex."""
    level = np.floor(np.asarray(x[:, 2]) * 3).astype(int)
    corners = np.eye(3)[level] / np.sqrt(2.0)
    return np.hstack([np.asarray(x, float)[:, [0, 1, 3]], corners])


@pytest.fixture(scope="module")
def told():
    x = _rows(24, 0)
    y = np.sin(5 * np.asarray(x[:, 0])) + np.asarray(x[:, 2]) - 1.0
    return x, jnp.asarray(y, jnp.float32)


def _sklearn(x, y, log_lengths, log_noise) -> GaussianProcessRegressor:
    lengths = np.exp(np.asarray(log_lengths, float))
    scales = [lengths[0], lengths[1], lengths[3], *[lengths[2]] * 3]
    kernel = Matern(scales, nu=2.5) + WhiteKernel(float(noise_variance(log_noise)))
    process = GaussianProcessRegressor(kernel, alpha=0.0, optimizer=None)
    return process.fit(_one_hot(x), np.asarray(y, float))


def test_the_posterior_is_that_of_scikit_learn(told) -> None:
    x, y = told
    new = _rows(9, 1)
    # Two rows that do not count lie between those that do.
    padded = jnp.concatenate([x[:10], new[:2], x[10:]])
    known = jnp.asarray([True] * 10 + [False] * 2 + [True] * 14)
    values = jnp.concatenate([y[:10], jnp.full((2,), 99.0), y[10:]])
    process = condition(padded, values, known, LEARNT, SPACE)
    mean, variance, columns = process.predict(new)
    lengths = LEARNT.log_lengths
    joint = covariance(new, new, lengths, SPACE) - columns.T @ columns

    other = _sklearn(x, y, lengths, LEARNT.log_noise)
    expected, both = other.predict(_one_hot(new), return_cov=True)
    both -= float(noise_variance(LEARNT.log_noise)) * np.eye(9)
    np.testing.assert_allclose(np.asarray(mean), expected, atol=1e-4)
    np.testing.assert_allclose(np.asarray(joint), both, atol=1e-4)
    np.testing.assert_allclose(np.asarray(variance), np.diag(both), atol=1e-4)


def test_the_slope_is_that_of_scikit_learns_likelihood(told) -> None:
    x, y = told
    flat = dataclasses.replace(PRIOR, length_spread=1e6, noise_spread=1e6)
    squared = squared_differences(x, x, SPACE)
    slope = _slope(LEARNT, squared, y, jnp.ones(24, bool), flat)
    other = _sklearn(x, y, LEARNT.log_lengths, LEARNT.log_noise)
    theta = other.kernel_.theta
    _, gradient = other.log_marginal_likelihood(theta, eval_gradient=True)
    # Its lengths of the corners are one of ours.
    expected = -np.asarray(
        [gradient[0], gradient[1], gradient[3:6].sum(), gradient[2], gradient[6]]
    )
    ours = np.append(np.asarray(slope.log_lengths), np.asarray(slope.log_noise))
    # Theirs is by the logarithm of all of the noise, ours of what exceeds its least.
    noise = float(jnp.exp(LEARNT.log_noise))
    ours[-1] *= float(noise_variance(LEARNT.log_noise)) / noise
    np.testing.assert_allclose(ours, expected, rtol=2e-3, atol=2e-3)


def test_the_fit_raises_the_posterior_and_finds_what_matters(told) -> None:
    x, y = told
    fit = hasty_jit(
        lambda known: most_likely(x, y, known, SPACE, PRIOR, steps=60),
    )
    found = fit(jnp.ones(24, bool))
    lengths = np.exp(np.asarray(found.log_lengths))
    # The function has no second and fourth dimension.
    assert lengths[1] > 2 * lengths[0]
    assert lengths[3] > 2 * lengths[0]
    slope = _slope(
        found, squared_differences(x, x, SPACE), y, jnp.ones(24, bool), PRIOR
    )
    start = _slope(
        PRIOR.median(4), squared_differences(x, x, SPACE), y, jnp.ones(24, bool), PRIOR
    )
    steep = [
        np.abs(np.concatenate([*map(np.ravel, jax.tree.leaves(s))]))
        for s in (slope, start)
    ]
    assert steep[0].max() < 0.1 * steep[1].max()
    # Of nobody, nothing is learnt.
    nobody = fit(jnp.zeros(24, bool))
    for a, b in zip(
        jax.tree.leaves(nobody), jax.tree.leaves(PRIOR.median(4)), strict=True
    ):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), atol=1e-3)


@pytest.mark.parametrize("name", GEOMETRIES)
def test_the_kernel_is_positive_definite_in_every_space(name) -> None:
    geometry = GEOMETRIES[name]
    x = _rows(40, 2, geometry)
    lengths = jnp.full((geometry.dimensions,), jnp.log(jnp.float32(0.4)))
    prior = np.asarray(covariance(x, x, lengths, geometry), float)
    np.testing.assert_allclose(prior, prior.T, atol=1e-6)
    np.testing.assert_allclose(np.diag(prior), 1.0, atol=1e-6)
    assert np.linalg.eigvalsh(prior).min() > -1e-5


def test_inactive_dimensions_are_alike_and_unlike_active_ones() -> None:
    geometry = GEOMETRIES["conditional"]
    x = jnp.asarray([[1 / 6, 0.9], [0.5, 0.1], [5 / 6, 0.7], [1 / 6, 0.5]])
    rows = canonicalise(jnp.pad(x, ((0, 0), (0, 4)), constant_values=0.5), geometry)
    # The second dimension is active in the first and the last row only.
    squared = np.asarray(squared_differences(rows, rows, geometry))[1]
    assert squared[1, 2] == 0.0
    np.testing.assert_allclose(squared[0, 1], (0.9 - 0.5) ** 2 + 0.25, atol=1e-6)
    np.testing.assert_allclose(squared[3, 1], 0.25, atol=1e-6)
    np.testing.assert_allclose(squared[0, 3], 0.16, atol=1e-6)


def test_log_expected_improvement_holds_in_both_tails() -> None:
    z = np.concatenate([np.linspace(-6, 6, 400), [-12, -40, -1e3, -1e6, 30, 1e3]])
    low = np.minimum(z, 0.0)
    ratio = -low * np.sqrt(np.pi / 2) * erfcx(-low / np.sqrt(2))
    tail = -0.5 * low**2 - 0.5 * np.log(2 * np.pi) + np.log1p(-ratio)
    # Beyond -1e3 double precision cancels, too: h(z) = phi(z) / z^2 there.
    far = -0.5 * low**2 - 0.5 * np.log(2 * np.pi) - 2 * np.log(-np.minimum(z, -1.0))
    up = np.maximum(z, 0.0)
    density = np.exp(-0.5 * up**2) / np.sqrt(2 * np.pi)
    above = np.log(density + up * (1 - 0.5 * np.exp(-0.5 * up**2) * erfcx(up / 2**0.5)))
    expected = np.where(z > 0, above, np.where(z > -1e3, tail, far))
    found = hasty_jit(log_h)(jnp.asarray(z, jnp.float32))
    np.testing.assert_allclose(np.asarray(found), expected, rtol=3e-6, atol=3e-5)
    slopes = jax.vmap(jax.grad(log_h))(jnp.asarray(z, jnp.float32))
    assert np.isfinite(np.asarray(slopes)).all()
    assert (np.asarray(slopes) > 0).all()
    one, two = jnp.ones(1), jnp.full((1,), 2.0)
    scaled = log_expected_improvement(6 * one, two, jnp.float32(2.0))
    np.testing.assert_allclose(scaled, jnp.log(two) + log_h(two), rtol=1e-6)


def test_normal_scores_hang_on_ranks_only() -> None:
    fitness = jnp.asarray([3.0, -3e38, 7.0, 3.0, 99.0])
    known = jnp.asarray([True, True, True, True, False])
    y = np.asarray(normal_scores(fitness, known))
    assert y[4] == 0.0
    assert y[0] == y[3]
    np.testing.assert_allclose(y[[1, 0, 2]], [-1.1503, 0.0, 1.1503], atol=1e-3)
    assert (normal_scores(fitness, jnp.zeros(5, bool)) == 0.0).all()


def test_a_batch_is_that_of_a_process_told_what_it_believes(told) -> None:
    """Rank-one updates are as good as a new process for each chosen row."""
    x, y = told
    new, noise = _rows(30, 5), noise_variance(LEARNT.log_noise)
    process = condition(x, y, jnp.ones(24, bool), LEARNT, SPACE)
    mean, _, columns = process.predict(new)
    joint = covariance(new, new, LEARNT.log_lengths, SPACE) - columns.T @ columns
    allowed = jnp.ones(30, bool).at[:3].set(False)
    best = jnp.max(y)
    chosen = believer_batch(mean, joint, noise, allowed, best, size=6)

    rows, values, expected = [], [], []
    for _ in range(6):
        other = _sklearn(
            jnp.concatenate([x, new[jnp.asarray(rows, int)]]),
            np.append(np.asarray(y), values),
            LEARNT.log_lengths,
            LEARNT.log_noise,
        )
        m, s = other.predict(_one_hot(new), return_std=True)
        promise = np.array(
            log_expected_improvement(
                jnp.asarray(m, jnp.float32), jnp.asarray(s, jnp.float32), best
            )
        )
        promise[[0, 1, 2, *rows]] = -np.inf
        expected.append(int(np.argmax(promise)))
        rows.append(expected[-1])
        values.append(m[expected[-1]])
    assert chosen.tolist() == expected


def test_a_batch_of_more_than_there_is_repeats_the_first_row() -> None:
    mean, allowed = jnp.zeros(3), jnp.asarray([False, True, False])
    chosen = believer_batch(
        mean, jnp.eye(3), jnp.float32(0.1), allowed, jnp.float32(0), size=3
    )
    assert chosen.tolist() == [1, 0, 0]
