"""CMA-ES is that of a plain loop, and keeps its margins."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from evotune._contracts import Status, pending
from evotune.algorithms import CMAES
from evotune.algorithms._chances import first_chances, learnt_chances, levels_drawn
from evotune.algorithms._gaussian import (
    learnt,
    rank_weights,
    round_about,
    with_margin,
)
from evotune.testing import GEOMETRIES, choice, cube, finish, floating, integer, part
from evotune.testing._harness import harness
from evotune.testing._haste import hasty_jit

SEARCH = CMAES(batch_size=12)
MIXED = cube(floating(), floating(), integer(9), choice(3))


@dataclasses.dataclass
class PlainCMA:
    """The tutorial's algorithm, in float64, without negative weights."""

    mean: np.ndarray
    sigma: float

    def __post_init__(self):
        n = self.mean.size
        self.C, self.updates = np.eye(n), 0
        self.path_sigma, self.path = np.zeros(n), np.zeros(n)

    def tell(self, points, fitness):
        n, size = self.mean.size, len(points)
        half = size // 2
        weights = np.log((size + 1) / 2) - np.log(np.arange(1, half + 1))
        weights /= weights.sum()
        mu = 1 / (weights**2).sum()
        cs = (mu + 2) / (n + mu + 5)
        ds = 1 + 2 * max(0.0, np.sqrt((mu - 1) / (n + 1)) - 1) + cs
        cc = (4 + mu / n) / (n + 4 + 2 * mu / n)
        c1 = 2 / ((n + 1.3) ** 2 + mu)
        cmu = min(1 - c1, 2 * (mu - 2 + 1 / mu) / ((n + 2) ** 2 + mu))
        chi = np.sqrt(n) * (1 - 1 / (4 * n) + 1 / (21 * n**2))
        best = points[np.argsort(-fitness)[:half]]
        y = (best - self.mean) / self.sigma
        step = weights @ y
        values, vectors = np.linalg.eigh(self.C)
        white = vectors @ ((vectors.T @ step) / np.sqrt(values))
        self.updates += 1
        self.path_sigma = (1 - cs) * self.path_sigma + np.sqrt(
            cs * (2 - cs) * mu
        ) * white
        norm = np.linalg.norm(self.path_sigma)
        settled = np.sqrt(1 - (1 - cs) ** (2 * self.updates))
        h = float(norm / settled < (1.4 + 2 / (n + 1)) * chi)
        self.path = (1 - cc) * self.path + h * np.sqrt(cc * (2 - cc) * mu) * step
        rank_mu = sum(
            w * np.outer(each, each) for w, each in zip(weights, y, strict=True)
        )
        rank_one = np.outer(self.path, self.path) + (1 - h) * cc * (2 - cc) * self.C
        self.C = (1 - c1 - cmu) * self.C + c1 * rank_one + cmu * rank_mu
        self.mean = self.mean + self.sigma * step
        self.sigma *= np.exp(cs / ds * (norm / chi - 1))


@pytest.mark.parametrize("size", [10, 32])
def test_the_distribution_is_that_of_a_plain_loop(size) -> None:
    random = np.random.default_rng(size)
    n, generations = 5, 12
    matrix = random.normal(size=(n, n))
    plain = PlainCMA(np.full(n, 0.5), 0.1)
    gaussian = round_about(jnp.full((n,), 0.5), 0.1)

    @hasty_jit
    def tell(gaussian, points, rank):
        return learnt(gaussian, points, rank_weights(rank, jnp.float32(size)))

    for _ in range(generations):
        values, vectors = np.linalg.eigh(plain.C)
        z = random.normal(size=(size, n)).clip(-2.5, 2.5)
        points = plain.mean + plain.sigma * (z * np.sqrt(values)) @ vectors.T
        fitness = -(((points - 0.3) @ matrix) ** 2).sum(1)
        rank = np.argsort(np.argsort(-fitness)).astype(np.int32)
        gaussian = tell(gaussian, points.astype(np.float32), rank)
        plain.tell(points, fitness)
    np.testing.assert_allclose(gaussian.mean, plain.mean, rtol=1e-3)
    np.testing.assert_allclose(gaussian.sigma, plain.sigma, rtol=1e-3)
    scale = np.abs(plain.C).max()
    np.testing.assert_allclose(gaussian.covariance, plain.C, atol=2e-3 * scale)
    product = np.asarray(gaussian.root) @ np.asarray(gaussian.inverse_root)
    np.testing.assert_allclose(product, np.eye(n), atol=1e-3)
    np.testing.assert_allclose(
        gaussian.root @ gaussian.root, gaussian.covariance, atol=1e-3 * scale
    )


def test_no_level_is_ever_out_of_reach() -> None:
    least, cells = 0.02, np.linspace(0.0, 1.0, 9)
    mean = np.linspace(0.001, 0.999, 241).astype(np.float32)
    cell = np.minimum((mean * 8).astype(int), 7)
    low, high = cells[cell].astype(np.float32), cells[cell + 1].astype(np.float32)
    for sigma in (1e-4, 0.01, 0.05, 0.2):
        before = round_about(jnp.asarray(mean), sigma)
        after = hasty_jit(with_margin)(before, low, high, jnp.float32(least))
        middle, deviation = np.asarray(after.mean, float), np.asarray(after.deviation)
        below = stats.norm.cdf(low, middle, deviation)
        above = stats.norm.sf(high, middle, deviation)
        inside = (cell > 0) & (cell < 7)
        assert (below[inside] > 0.98 * least / 2).all()
        assert (above[inside] > 0.98 * least / 2).all()
        assert (above[cell == 0] > 0.98 * least).all()
        assert (below[cell == 7] > 0.98 * least).all()
        # Nothing moves where the chances were high enough.
        free = stats.norm.cdf(low, mean, sigma) > least / 2
        free &= (stats.norm.sf(high, mean, sigma) > least / 2) & inside
        np.testing.assert_allclose(middle[free], mean[free])
        np.testing.assert_allclose(deviation[free], sigma, rtol=1e-5)
    continuous = hasty_jit(with_margin)(before, 0 * low, 0 * low + 1, jnp.float32(0.1))
    np.testing.assert_array_equal(continuous.mean, mean)


def test_chances_follow_the_better_half_and_keep_a_margin() -> None:
    space = cube(choice(2), floating(), choice(4))
    chances = jnp.asarray(first_chances(space))
    x = np.asarray([[0.25, 0.5, 0.125], [0.75, 0.5, 0.125]] * 4, np.float32)
    weight = np.full(8, 1 / 8, np.float32)
    step = hasty_jit(lambda chances: learnt_chances(chances, x, weight, space))
    one = np.asarray(step(chances))
    np.testing.assert_allclose(one[0, :2], 0.5)
    np.testing.assert_allclose(one[2, 0], 0.25 + 8 / (8 + 4) * 0.75, rtol=1e-5)
    for _ in range(60):
        chances = step(chances)
    least = (1 - 0.73**0.5) / 3
    np.testing.assert_allclose(chances[2], [1 - 3 * least, *[least] * 3], rtol=1e-4)
    np.testing.assert_allclose(np.asarray(chances).sum(1), [1.0, 0.0, 1.0], rtol=1e-5)
    u = np.random.default_rng(0).random((4000, 3)).astype(np.float32)
    level = np.asarray(levels_drawn(chances, jnp.asarray(u)))
    frequency = np.bincount(level[:, 2], minlength=4) / 4000
    np.testing.assert_allclose(frequency, chances[2], atol=0.03)


def _tell_all(run, state, fitness, number=0):
    proposal = run.ask(jax.random.key(number), state)
    state = run.tell(state, pending(proposal))
    return run.tell(state, finish(proposal, fitness(proposal))), proposal


def test_a_generation_is_learnt_from_when_it_is_complete() -> None:
    run = harness(SEARCH, MIXED)
    proposal = run.ask(jax.random.key(0), run.start())
    state = run.tell(run.start(), pending(proposal))
    outcome = finish(proposal, run.score(proposal))
    for rows in np.split(np.arange(12)[::-1], 4):
        assert float(state.gaussian.updates) == 0.0
        state = run.tell(state, part(outcome, np.isin(np.arange(12), rows)))
    assert float(state.gaussian.updates) == 1.0
    assert (state.results.trial == -1).all()


def test_failures_count_as_the_worst_and_none_moves_nothing() -> None:
    run = harness(SEARCH, MIXED)
    state, _ = _tell_all(run, run.start(), run.score)
    proposal = run.ask(jax.random.key(1), state)
    state = run.tell(state, pending(proposal))
    failed = run.tell(state, finish(proposal, -np.inf, status=Status.FAILED))
    for before, after in zip(
        jax.tree.leaves(state.gaussian), jax.tree.leaves(failed.gaussian), strict=True
    ):
        np.testing.assert_array_equal(before, after)
    only = np.where(np.arange(12) == 7, 0.5, -np.inf)
    one = run.tell(state, finish(proposal, only))
    np.testing.assert_allclose(one.gaussian.mean[:2], proposal.x[7, :2], atol=1e-5)


def test_points_of_others_pull_the_mean_as_far_as_is_sound() -> None:
    run = harness(SEARCH, MIXED)
    state = run.start()
    proposal = run.ask(jax.random.key(0), state)
    chosen = dataclasses.replace(proposal, x=proposal.x.at[5, 0].set(0.99))
    state = run.tell(state, pending(chosen))
    fitness = np.where(np.arange(12) == 5, 1.0, -np.inf)
    state = run.tell(state, finish(chosen, fitness))
    np.testing.assert_allclose(state.gaussian.mean[0], 0.99, atol=1e-5)


def test_levels_are_learnt_from_the_points_they_were_rounded_from() -> None:
    run = harness(SEARCH, cube(integer(3), floating()))
    proposal = run.ask(jax.random.key(0), run.start())
    state = run.tell(run.start(), pending(proposal))
    points = np.asarray(state.drawn.value[state.drawn.trial >= 0])
    assert len(np.unique(points[:, 0])) == 12
    x = (np.floor(points[:, 0] * 3) + 0.5) / 3
    np.testing.assert_allclose(x, np.asarray(proposal.x)[:, 0], atol=1e-6)


def test_a_space_of_categories_alone_is_searched_by_chances_alone() -> None:
    run = harness(SEARCH, GEOMETRIES["all_choices"])
    state, levels = run.start(), np.asarray(run.geometry.levels)

    def at_first(proposal):
        return (np.asarray(proposal.x) * levels < 1.0).sum(axis=1)

    for number in range(4):
        state, _ = _tell_all(run, state, at_first, number)
    assert (np.asarray(state.chances)[:, 0] > 1.2 / levels).all()
    assert np.isfinite(np.asarray(state.gaussian.covariance)).all()


def test_a_search_that_has_converged_starts_again_with_twice_the_size() -> None:
    search = CMAES(batch_size=12, tolerance=0.05, restarts=1)
    run = harness(search, cube(floating(), floating()))
    state, sizes = run.start(), []
    for number in range(60):
        state, _ = _tell_all(run, state, run.score, number)
        sizes.append(float(state.size))
    assert int(state.restarts) >= 2
    assert set(sizes) == {12.0, 24.0}
    assert sizes == sorted(sizes)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("batch_size", 3),
        ("sigma", 0.0),
        ("restarts", -1),
        ("tolerance", float("nan")),
    ],
)
def test_bad_settings_are_named_with_the_way_out(name, value) -> None:
    with pytest.raises(ValueError, match=rf"`{name}` must be .*Use for example"):
        CMAES(**{name: value})
