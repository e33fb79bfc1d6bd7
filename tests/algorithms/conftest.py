"""Strict promotion, and hasty compilation, for every test of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import jax
import pytest

from evotune.testing._haste import hasty_operations


@pytest.fixture(autouse=True)
def strict_promotion() -> Iterator[None]:
    """No dtype changes by itself, and no axis appears by itself."""
    with (
        jax.numpy_dtype_promotion("strict"),
        jax.numpy_rank_promotion("raise"),
    ):
        yield


@pytest.fixture(autouse=True, scope="module")
def hasty_compilation() -> Iterator[None]:
    """Nearly all the time of these tests is the compilation of what runs once."""
    with hasty_operations():
        yield
