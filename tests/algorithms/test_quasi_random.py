"""Sobol points are those of scipy, and spread more evenly than random ones."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import qmc

from evotune._contracts import EMPTY, fresh
from evotune.algorithms import LatinHypercubeSearch, QuasiRandomSearch, RandomSearch
from evotune.algorithms._joe_kuo import TABLED
from evotune.algorithms._sobol import (
    POINTS_LOG2,
    direction_numbers,
    owen_scramble,
    sobol_words,
)
from evotune.testing import cube, finish, floating
from evotune.testing._haste import hasty_jit

words_of = jax.jit(sobol_words)


def _points(algorithm, dimensions, seed):
    """f32[P, D], the first batch."""
    state = algorithm.init(jax.random.key(seed), cube(*[floating()] * dimensions))
    return algorithm.ask(jax.random.key(seed + 1000), state).x


@pytest.mark.parametrize("dimensions", [1, 3, TABLED, TABLED + 1])
@pytest.mark.parametrize("first", [0, 2**POINTS_LOG2 - 512])
def test_unscrambled_points_are_those_of_scipy_bit_for_bit(dimensions, first) -> None:
    index = jnp.arange(first, first + 512, dtype=jnp.uint32)
    words = np.asarray(words_of(index, direction_numbers(dimensions)))
    sequence = qmc.Sobol(dimensions, scramble=False, bits=32)
    if first:
        sequence.fast_forward(first)
    expected = sequence.random(512) * 2.0**32
    np.testing.assert_array_equal(words, expected.astype(np.uint64))


def test_scrambling_flips_a_bit_by_the_bits_above_it_alone() -> None:
    random = np.random.default_rng(0)
    word = random.integers(0, 2**32, (256, 1), np.uint32)
    seed = random.integers(0, 2**32, (256, 1), np.uint32)
    bit = np.arange(32, dtype=np.uint32)[None]
    # Bits above, of greater value, are equal.
    pairs = np.concatenate([word ^ (np.uint32(1) << bit), word], axis=1)
    seeds = np.broadcast_to(seed, pairs.shape)
    scrambled = np.asarray(hasty_jit(owen_scramble)(pairs, seeds))
    assert ((scrambled[:, :32] ^ scrambled[:, 32:]) >> bit == 1).all()


def test_every_dyadic_slice_holds_as_many_points_as_any_other() -> None:
    for seed in range(3):
        x = np.asarray(_points(QuasiRandomSearch(batch_size=64), 5, seed))
        for column in x.T:
            assert (np.bincount((column * 64).astype(int)) == 1).all()
        boxes = (x[:, 0] * 8).astype(int) * 8 + (x[:, 1] * 8).astype(int)
        assert (np.bincount(boxes, minlength=64) == 1).all()


def test_seeds_scramble_otherwise_and_every_point_is_uniform() -> None:
    first = np.stack(
        [_points(QuasiRandomSearch(batch_size=4), 2, seed) for seed in range(64)]
    )
    assert len(np.unique(first[:, 0, 0])) == 64
    assert abs(first[:, 1].mean() - 0.5) < 0.1  # a standard deviation is 0.026


def test_batch_size_does_not_change_the_points() -> None:
    small, large = QuasiRandomSearch(batch_size=3), QuasiRandomSearch(batch_size=9)
    state = small.init(jax.random.key(0), cube(floating(), floating()))
    together = np.asarray(large.ask(jax.random.key(1), state).x)
    ask, tell = hasty_jit(small.ask), hasty_jit(small.tell)
    parts = []
    for number in range(3):
        proposal = ask(jax.random.key(number), state)
        state = tell(state, finish(proposal, np.zeros(3)))
        parts.append(np.asarray(proposal.x))
    np.testing.assert_array_equal(np.concatenate(parts), together)


def test_after_its_last_point_the_sequence_starts_again_scrambled_otherwise() -> None:
    search = QuasiRandomSearch(batch_size=8)
    state = search.init(jax.random.key(0), cube(floating()))
    start = search.ask(jax.random.key(1), state)
    late = fresh(start.x, jnp.full((8,), EMPTY).at[0].set(2**POINTS_LOG2 - 1))
    again = search.ask(jax.random.key(1), search.tell(state, finish(late, 0.0)))
    assert int(again.trial[0]) == 2**POINTS_LOG2
    assert not np.isin(np.asarray(again.x), np.asarray(start.x)).any()
    assert len(np.unique(np.asarray(again.x) // 0.125)) == 8


def test_means_are_nearer_to_the_integral_than_random_ones_on_paired_seeds() -> None:
    def error(algorithm, seed):
        x = _points(algorithm, 4, seed)
        value = jnp.exp(-3.0 * ((x - 0.4) ** 2).sum(1))
        return jnp.abs(value.mean() - exact)

    grid = (np.arange(1000) + 0.5) / 1000
    exact = float(np.exp(-3.0 * (grid - 0.4) ** 2).mean() ** 4)
    errors = {}
    for search in (QuasiRandomSearch, LatinHypercubeSearch, RandomSearch):
        run = hasty_jit(jax.vmap(lambda seed, s=search: error(s(batch_size=64), seed)))
        errors[search.__name__] = np.asarray(run(jnp.arange(64)))
    random = errors.pop("RandomSearch")
    for name, values in errors.items():
        assert np.mean(values < random) >= 0.75, (name, values, random)
        assert values.mean() < 0.5 * random.mean(), (name, values.mean(), random.mean())


@pytest.mark.parametrize("search", [QuasiRandomSearch, LatinHypercubeSearch])
def test_bad_settings_are_named_with_the_way_out(search) -> None:
    with pytest.raises(ValueError, match=r"at least 1.*Use for example"):
        search(batch_size=0)


def test_more_dimensions_than_the_sequence_has_are_refused() -> None:
    space = cube(*[floating()] * 21202)
    with pytest.raises(ValueError, match=r"21,201 dimensions.*LatinHypercubeSearch"):
        QuasiRandomSearch().init(jax.random.key(0), space)
