"""How large the region is that some rows fill."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from evotune.algorithms._region import region_size
from evotune.testing import choice, cube, floating, integer

SPACE = cube(floating(), floating(), integer(4), integer(100), choice(5))


def _size(x, known=None, least=0.002) -> np.ndarray:
    known = jnp.ones(len(x), bool) if known is None else jnp.asarray(known)
    return np.asarray(region_size(jnp.asarray(x, jnp.float32), known, SPACE, least))


def test_rows_all_over_the_cube_fill_it() -> None:
    x = np.random.default_rng(0).random((4000, 5))
    np.testing.assert_allclose(_size(x), 1.0, atol=0.03)


def test_an_interval_has_its_own_width() -> None:
    x = np.random.default_rng(0).random((4000, 5)) * [0.2, 0.01, 0.5, 0.3, 0.0]
    np.testing.assert_allclose(_size(x), [0.2, 0.01, 0.5, 0.3, 1.0], rtol=0.03)


def test_one_point_has_the_least_size_and_two_cells() -> None:
    x = np.full((8, 5), 0.5)
    np.testing.assert_allclose(_size(x), [0.002, 0.002, 0.5, 0.02, 1.0], rtol=1e-6)
    np.testing.assert_allclose(_size(x, least=1.0), 1.0)


def test_rows_that_do_not_count_change_nothing() -> None:
    x = np.random.default_rng(1).random((16, 5))
    known = np.arange(16) < 8
    moved = np.where(known[:, None], x, 0.0)
    np.testing.assert_array_equal(_size(x, known), _size(moved, known))
    assert np.isfinite(_size(x, np.zeros(16, bool))).all()
