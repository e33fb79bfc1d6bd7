"""The contract that every search algorithm keeps, as tests to inherit."""

from __future__ import annotations

import dataclasses
import functools
import pickle
from collections.abc import Mapping
from typing import Any, ClassVar, cast

import jax
import jax.numpy as jnp
import numpy as np

from evotune._contracts import (
    DROP,
    EMPTY,
    Algorithm,
    Geometry,
    Status,
    pending,
)
from evotune.testing._geometries import GEOMETRIES
from evotune.testing._harness import Harness, harness
from evotune.testing._haste import hasty_jit, hasty_operations
from evotune.testing._outcomes import finish, part

_DTYPES = {
    "x": jnp.float32,
    "trial": jnp.int32,
    "replica": jnp.int32,
    "source": jnp.int32,
    "slot": jnp.int32,
    "until": jnp.float32,
    "horizon": jnp.float32,
}


class AlgorithmContract:
    """Tests of the `Algorithm` contract; inherit, and set ``algorithm``.

    Example::

        class TestMySearch(AlgorithmContract):
            algorithm = MySearch(batch_size=8)

    Attributes:
        algorithm: What is tested; a batch of 8 to 32 rows keeps it quick.
        geometries: The spaces it is tested in, by name.
        any_order: Whether results may come in parts and in any order without changing
            what is proposed next. Asynchronous methods set it to False.
        rounding: By how much numbers of a state may differ under jit and without it,
            relative and absolute: a fused multiplication and addition rounds once.
    """

    algorithm: Algorithm
    geometries: ClassVar[Mapping[str, Geometry]] = GEOMETRIES
    any_order: bool = True
    rounding: float = 0.0

    def pytest_generate_tests(self, metafunc: Any) -> None:
        """Runs each test that takes a ``geometry`` in all of them."""
        if "geometry" in metafunc.fixturenames:
            names = list(self.geometries)
            metafunc.parametrize("geometry", self.geometries.values(), ids=names)

    def best(self, state: Any) -> float | None:
        """The best fitness that ``state`` remembers, where it remembers any."""
        del state
        return None

    def _harness(self, geometry: Geometry) -> Harness:
        return harness(cast(Any, self.algorithm), geometry)

    @property
    def _first(self) -> Harness:
        """The space that tests which compile anew are run in: the last but one."""
        names = list(self.geometries)
        return self._harness(self.geometries[names[-2 if len(names) > 1 else 0]])

    def test_settings_are_frozen_and_hashable(self) -> None:
        """Two algorithms of equal settings are equal, and one cannot be changed."""
        again = pickle.loads(pickle.dumps(self.algorithm))
        assert again == self.algorithm
        assert hash(again) == hash(self.algorithm)
        try:
            self.algorithm.batch_size = 1  # type: ignore[misc]
        except AttributeError:
            return
        raise AssertionError("settings must be frozen: use @dataclass(frozen=True)")

    def test_shapes_and_dtypes_are_those_of_the_contract(
        self, geometry: Geometry
    ) -> None:
        """Every field has its dtype and P rows; trials are numbered without a gap."""
        run, told = self._harness(geometry), 0
        for _, proposal, _ in run.generations:
            for name, dtype in _DTYPES.items():
                assert getattr(proposal, name).dtype == dtype, name
            rows = self.algorithm.batch_size
            assert proposal.x.shape == (rows, geometry.dimensions)
            assert proposal.trial.shape == (rows,)
            trial = np.asarray(proposal.trial)
            real = trial[trial != EMPTY]
            if (np.asarray(proposal.slot) == DROP).all():
                assert real.tolist() == list(range(told, told + real.size))
            told += real.size

    def test_points_lie_in_the_cube(self, geometry: Geometry) -> None:
        """Nothing ever leaves its bounds, and nothing is NaN."""
        for _, proposal, _ in self._harness(geometry).generations:
            x = np.asarray(proposal.x)
            assert np.isfinite(x).all()
            assert x.min() >= 0.0
            assert x.max() <= 1.0

    def test_points_are_canonical(self, geometry: Geometry) -> None:
        """Discrete points are in the middle of their cell, inactive ones at rest."""
        for _, proposal, _ in self._harness(geometry).generations:
            real = np.asarray(proposal.trial) != EMPTY
            x = np.asarray(proposal.x)[real]
            np.testing.assert_allclose(x, _canonical(x, geometry), rtol=0, atol=1e-6)

    def test_same_key_gives_the_same_bits(self, geometry: Geometry) -> None:
        """`ask` reads only: asked twice it gives the same, and the state stays."""
        run = self._harness(geometry)
        for number, (state, proposal, _) in enumerate(run.generations):
            before = [np.asarray(leaf).copy() for leaf in jax.tree.leaves(state)]
            _assert_equal(run.ask(jax.random.key(number), state), proposal)
            for old, new in zip(before, jax.tree.leaves(state), strict=True):
                np.testing.assert_array_equal(old, np.asarray(new))

    def test_pending_rows_are_known(self, geometry: Geometry) -> None:
        """After RUNNING rows were told, the same key gives other trials and points."""
        run = self._harness(geometry)
        state, first, _ = run.generations[0]
        second = run.ask(jax.random.key(0), run.tell(state, pending(first)))
        shared = set(first.trial.tolist()) & set(second.trial.tolist())
        assert shared <= {EMPTY}
        if 0 in geometry.levels and (np.asarray(second.trial) != EMPTY).all():
            assert not np.array_equal(np.asarray(first.x), np.asarray(second.x))

    def test_empty_rows_are_ignored(self, geometry: Geometry) -> None:
        """Padding changes no bit of the state, whatever else is in it."""
        run = self._harness(geometry)
        state, _, outcome = run.generations[1]
        _assert_equal(run.tell(state, part(outcome, False)), state)

    def test_results_may_come_in_parts(self, geometry: Geometry) -> None:
        """Parts in another order lead to the same proposal as the whole at once."""
        run = self._harness(geometry)
        state, proposal, outcome = run.generations[1]
        state = run.tell(state, pending(proposal))
        odd = np.arange(self.algorithm.batch_size) % 2 == 1
        whole = run.ask(jax.random.key(9), run.tell(state, outcome))
        state = run.tell(state, part(outcome, odd))
        between = run.ask(jax.random.key(9), state)
        assert np.isfinite(np.asarray(between.x)).all()
        parts = run.ask(jax.random.key(9), run.tell(state, part(outcome, ~odd)))
        if self.any_order:
            _assert_equal(parts, whole)

    def test_failures_do_not_spread(self, geometry: Geometry) -> None:
        """A first generation without one survivor is followed by ordinary ones."""
        run = self._harness(geometry)
        state, proposal, _ = run.generations[0]
        for status in (Status.DIVERGED, Status.FAILED, Status.COMPLETE):
            state = run.tell(state, pending(proposal))
            state = run.tell(state, finish(proposal, -np.inf, status=status))
            for leaf in jax.tree.leaves(state):
                if jnp.issubdtype(leaf.dtype, jnp.floating):
                    assert not np.isnan(np.asarray(leaf)).any()
            proposal = run.ask(jax.random.key(5), state)
            x = np.asarray(proposal.x)
            assert np.isfinite(x).all()
            assert x.min() >= 0.0
            assert x.max() <= 1.0

    def test_foreign_trials_are_welcome(self, geometry: Geometry) -> None:
        """Rows that it never proposed, at points of their own, move its counter on."""
        run = self._harness(geometry)
        state, proposal, _ = run.generations[0]
        foreign = dataclasses.replace(
            finish(proposal, run.score(proposal)),
            trial=jnp.arange(self.algorithm.batch_size, dtype=jnp.int32) + 1000,
            x=jnp.full_like(proposal.x, 0.123),
        )
        following = run.ask(jax.random.key(0), run.tell(state, foreign))
        trial = np.asarray(following.trial)
        assert (trial[trial != EMPTY] >= 1000 + self.algorithm.batch_size).all()

    def test_state_survives_being_saved(self, geometry: Geometry) -> None:
        """Pickled, and flattened and put together, it proposes the same bits."""
        run = self._harness(geometry)
        state, proposal, _ = run.generations[2]
        leaves, tree = jax.tree.flatten(state)
        rebuilt = jax.tree.unflatten(tree, [np.asarray(leaf) for leaf in leaves])
        pickled = pickle.loads(pickle.dumps(jax.device_get(state)))
        for again in (rebuilt, pickled):
            again = jax.tree.map(jnp.asarray, again)
            _assert_equal(run.ask(jax.random.key(2), again), proposal)

    def test_best_so_far_never_falls(self, geometry: Geometry) -> None:
        """What it remembers as best is the best that it was told."""
        told = -np.inf
        for state, _, outcome in self._harness(geometry).generations:
            known = self.best(state)
            if known is not None:
                np.testing.assert_equal(np.float32(known), np.float32(told))
            told = max(told, float(np.max(np.asarray(outcome.fitness))))

    def test_nothing_is_compiled_twice(self, geometry: Geometry) -> None:
        """Three generations, pending rows and results: one trace of each function."""
        run = Harness(self.algorithm, geometry)
        run.ask = jax.jit(run.counting("ask", self.algorithm.ask))
        run.tell = jax.jit(run.counting("tell", self.algorithm.tell))
        shapes = jax.eval_shape(run.ask, jax.random.key(0), run.start())
        state = run.start()
        for _ in range(3):
            told = jax.eval_shape(run.tell, state, jax.eval_shape(pending, shapes))
            before = jax.tree.map(_signature, state)
            assert before == jax.tree.map(_signature, told)
            state = told
        assert run.traces == {"ask": 1, "tell": 1}

    def test_jit_changes_nothing(self) -> None:
        """Run operation by operation it proposes the same, to the last few bits."""
        run = self._first
        state, proposal, outcome = run.generations[1]
        with hasty_operations():
            eager = self.algorithm.ask(jax.random.key(1), state)
            told = jax.tree.leaves(self.algorithm.tell(state, outcome))
        np.testing.assert_array_equal(np.asarray(eager.trial), proposal.trial)
        np.testing.assert_allclose(np.asarray(eager.x), proposal.x, rtol=0, atol=2e-6)
        for a, b in zip(told, jax.tree.leaves(run.tell(state, outcome)), strict=True):
            few = self.rounding if jnp.issubdtype(a.dtype, jnp.floating) else 0.0
            np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=few, atol=few)

    def test_searches_over_seeds_can_be_vmapped(self) -> None:
        """Many searches at once are those that run one after the other."""
        run = self._first

        def search(key: jax.Array) -> jax.Array:
            state = self.algorithm.init(key, run.geometry)
            proposal = self.algorithm.ask(key, state)
            told = dataclasses.replace(
                pending(proposal),
                fitness=-jnp.mean(proposal.x, axis=1, keepdims=True),
                status=jnp.full_like(proposal.trial, Status.COMPLETE),
            )
            return self.algorithm.ask(key, self.algorithm.tell(state, told)).x

        keys = jax.random.split(jax.random.key(3), 3)
        together = hasty_jit(jax.vmap(search))(keys)
        one = hasty_jit(search)
        for row, key in enumerate(keys):
            x = np.asarray(one(key))
            np.testing.assert_allclose(np.asarray(together[row]), x, rtol=0, atol=2e-6)

    def test_it_prints_nothing(self, capfd: Any) -> None:
        """An algorithm says nothing; the study speaks."""
        run = self._first
        state, proposal, outcome = run.generations[0]
        run.ask(jax.random.key(0), run.tell(state, outcome))
        assert capfd.readouterr() == ("", "")
        del proposal


def _signature(leaf: Any) -> str:
    """The shape and dtype of an array or of its stand-in."""
    return f"{leaf.dtype}{leaf.shape}"


def _assert_equal(a: Any, b: Any) -> None:
    """Every leaf has the same bits."""
    for left, right in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_array_equal(np.asarray(left), np.asarray(right))


def _canonical(x: np.ndarray, geometry: Geometry) -> np.ndarray:
    """Canonical rows in numpy, one dimension after another: an independent account."""
    level = np.zeros(x.shape, int)
    out = x.copy()
    for d, count in enumerate(geometry.levels):
        if count:
            edges = np.asarray(geometry.edges[d] or np.linspace(0, 1, count + 1))
            level[:, d] = np.searchsorted(edges, x[:, d] + 1e-7, side="right") - 1
            level[:, d] = np.clip(level[:, d], 0, count - 1)
            out[:, d] = (edges[level[:, d]] + edges[level[:, d] + 1]) / 2

    @functools.cache
    def live(d: int) -> Any:
        good = np.ones(len(x), bool)
        for condition in geometry.conditions[d]:
            good &= np.isin(level[:, condition.parent], condition.levels)
            good &= live(condition.parent)
        return good

    for d, rest in enumerate(geometry.canonical):
        out[:, d] = np.where(live(d), out[:, d], rest)
    return out
