"""Priors and weights: draws follow them, and nothing is out of reach."""

from __future__ import annotations

import dataclasses

import jax
import numpy as np
import pytest
from scipy import stats

import evotune as et
from evotune.algorithms import LatinHypercubeSearch, QuasiRandomSearch, RandomSearch
from evotune.space import Beta, Categorical, Float, Int, Normal, Ordinal, Space
from evotune.space._prior import UNIFORM

CONTINUOUS = {
    "normal": (Float(-2.0, 6.0, prior=Normal(1.0, 1.5)), stats.truncnorm(-2, 10 / 3)),
    "at_a_bound": (Float(0.0, 1.0, prior=Normal(0.0, 0.2)), stats.truncnorm(0, 5)),
    "beta": (Float(-2.0, 6.0, prior=Beta(2, 5)), stats.beta(2, 5)),
    "infinite_ends": (Float(0.0, 1.0, prior=Beta(0.5, 0.5)), stats.beta(0.5, 0.5)),
    "log_normal": (
        Float(1e-5, 1.0, log=True, prior=Normal(1e-3, 10.0)),
        stats.truncnorm(-2, 3),
    ),
    "log_beta": (Float(1e-5, 1.0, log=True, prior=Beta(5, 2)), stats.beta(5, 2)),
}


def standard(dimension: Float, value: np.ndarray) -> np.ndarray:
    """Values as scipy's distribution has them: z scores, or shares of the interval."""
    forth = np.log if dimension.log else np.asarray
    prior, low, high = dimension.prior, forth(dimension.low), forth(dimension.high)
    if isinstance(prior, Beta):
        return (forth(value) - low) / (high - low)
    return (forth(value) - forth(prior.mean)) / forth(prior.std)


@pytest.mark.parametrize(("dimension", "expected"), CONTINUOUS.values(), ids=CONTINUOUS)
def test_values_are_the_quantiles_of_scipys_distribution(dimension, expected):
    """Up to the share of the draws that ignores the prior."""
    u = np.linspace(0, 1, 4097)[1:-1].astype(np.float32)
    value = Space(v=dimension).decode(u[:, None])["v"]
    share = expected.cdf(standard(dimension, value))
    assert np.abs(share - u).max() < 1.01 * UNIFORM + 1e-6
    assert (np.diff(value) >= 0).all()
    untruncated = dataclasses.replace(dimension, prior=None)
    even = Space(v=untruncated).decode(u[:, None])["v"]
    assert np.abs(expected.cdf(standard(dimension, even)) - u).max() > 0.05


@pytest.mark.parametrize("step", [None, 3])
def test_integers_have_the_mass_of_half_a_step_about_them(step):
    dimension = Int(1, 40, step=step, prior=Normal(10.0, 5.0))
    half = 0.5 * (step or 1)
    values = np.array(dimension.values)
    borders = np.append(values - half, values[-1] + half)
    whole = stats.truncnorm((borders[0] - 10) / 5, (borders[-1] - 10) / 5, 10, 5)
    (edges,) = Space(v=dimension).geometry().edges
    np.testing.assert_allclose(edges, whole.cdf(borders), atol=1.01 * UNIFORM)
    assert np.argmax(np.diff(edges)) == np.argmin(np.abs(values - 10))


def test_a_normal_of_integers_on_a_log_scale_is_normal_in_the_logarithm():
    dimension = Int(1, 64, log=True, prior=Normal(8, 2.0))
    borders = np.log(np.arange(1, 66) - 0.5)
    spread, middle = np.log(2.0), np.log(8.0)
    ends = (borders[[0, -1]] - middle) / spread
    expected = stats.truncnorm(*ends, middle, spread).cdf(borders)
    (edges,) = Space(v=dimension).geometry().edges
    np.testing.assert_allclose(edges, expected, atol=1.01 * UNIFORM)


def test_what_a_prior_thinks_impossible_is_still_reached():
    sharp = Float(0.0, 1.0, prior=Normal(0.1, 0.001))
    space = Space(v=sharp, n=Int(0, 3000, prior=Normal(0, 0.5)))
    params = [{"v": v, "n": n} for v, n in ((0.5, 3000), (0.93, 1500), (0.1, 0))]
    for wanted, got in zip(params, space.params(space.encode(params)), strict=True):
        assert got["n"] == wanted["n"], "every level owns a cell"
        assert got["v"] == pytest.approx(wanted["v"], abs=4e-5)
    drawn = [row["v"] for row in space.sample(20_000, seed=0)]
    assert 0 < sum(v > 0.2 for v in drawn) < 60, "one draw in a thousand is uniform"


def test_choices_are_drawn_by_their_weights():
    space = Space(
        kind=Categorical(["a", "b", "c"], weights=[6, 3, 1]),
        size=Ordinal([8, 16, 64], weights=[0.2, 0.2, 0.6]),
        even=Categorical(["x", "y"], weights=[2, 2]),
        rare=Categorical(["often", "never"], weights=[1, 1e-30]),
    )
    geometry = space.geometry()
    np.testing.assert_allclose(geometry.edges[0], [0, 0.6, 0.9, 1])
    np.testing.assert_allclose(geometry.edges[1], [0, 0.2, 0.4, 1])
    assert geometry.edges[2] == (), "equal weights are none"
    assert (
        space.params(
            space.encode([{**row, "rare": "never"} for row in space.sample(3, seed=1)])
        )[2]["rare"]
        == "never"
    )
    rows = space.sample(4000, seed=0)
    share = np.mean([row["kind"] == "a" for row in rows])
    assert abs(share - 0.6) < 0.03


@pytest.mark.parametrize(
    "search", [RandomSearch, LatinHypercubeSearch, QuasiRandomSearch]
)
def test_every_even_sample_follows_the_prior(search):
    space = Space(
        rate=Float(1e-5, 1.0, log=True, prior=Normal(1e-3, 3.0)),
        kind=Categorical(["a", "b"], weights=[3, 1]),
    )
    algorithm = search(batch_size=256)
    state = algorithm.init(jax.random.key(0), space.geometry())
    rows = space.params(np.asarray(algorithm.ask(jax.random.key(1), state).x))
    z = np.log([row["rate"] / 1e-3 for row in rows]) / np.log(3.0)
    assert stats.kstest(z, stats.truncnorm(-4.19, 6.29).cdf).statistic < 0.1
    assert abs(np.mean([row["kind"] == "a" for row in rows]) - 0.75) < 0.1


def test_trials_take_the_place_of_a_prior_where_they_narrow():
    space = Space(
        rate=Float(1e-4, 1.0, log=True, prior=Normal(1e-3, 3.0)),
        width=Int(8, 64, prior=Beta(1, 3)),
        kind=Categorical(["a", "b", "c"], weights=[2, 1, 1]),
    )
    trial = {"rate": 0.5, "width": 20, "kind": "b"}
    narrow = space.around(trial, only=["rate", "kind"])
    assert narrow["rate"] == Float(0.01, 1.0, log=True)
    assert narrow["width"] == space["width"], "what is not narrowed keeps its prior"
    trials = [
        et.create_trial(params={**trial, "kind": kind, "width": width}, value=1.0)
        for kind, width in (("b", 8), ("c", 64))
    ]
    refined = space.refine(trials, direction="minimize", quantile=1.0)
    assert refined["kind"] == Categorical(["b", "c"])
    assert refined["width"] == space["width"]


def test_a_grid_steps_through_the_quantiles_of_a_prior():
    space = Space(v=Float(0.0, 1.0, prior=Beta(1, 3)))
    algorithm = et.GridSearch(levels=5, batch_size=5)
    state = algorithm.init(jax.random.key(0), space.geometry())
    x = np.asarray(algorithm.ask(jax.random.key(0), state).x)
    got = [row["v"] for row in space.params(x)]
    np.testing.assert_allclose(
        got, stats.beta(1, 3).ppf([0, 0.25, 0.5, 0.75, 1]), atol=2e-3
    )


def test_what_rests_does_so_at_the_median():
    space = Space(
        on=Categorical([False, True]),
        v=Float(0.0, 1.0, prior=Beta(1, 3), when={"on": True}),
    )
    rest = space.decode([space.geometry().canonical])["v"][0]
    assert rest == pytest.approx(stats.beta(1, 3).median(), abs=1e-3)
