"""Methods far from evotune's own run on the contract as it is, with no added field."""

from __future__ import annotations

import inspect
from typing import Any

import jax
import numpy as np
import pytest

from evotune._contracts import EMPTY, FRESH, Outcome, Proposal, pending
from evotune.testing import cube, floating

from . import sketches
from .fake_engine import FakeEngine

GEOMETRY = cube(floating(), floating(), floating())


class Search:
    """The loop of the contract; keeps what was asked and what came back."""

    def __init__(self, algorithm: Any, engine: FakeEngine, seed: int = 0) -> None:
        self.engine = engine
        self.key = jax.random.key(seed)
        self.ask, self.tell = jax.jit(algorithm.ask), jax.jit(algorithm.tell)
        self.state = algorithm.init(jax.random.fold_in(self.key, 2**31), GEOMETRY)
        self.proposals: list[Proposal] = []
        self.outcomes: list[Outcome] = []

    def propose(self) -> bool:
        """Asks and submits once; False where every row is EMPTY."""
        key = jax.random.fold_in(self.key, len(self.proposals))
        proposal = self.ask(key, self.state)
        self.state = self.tell(self.state, pending(proposal, points=self.engine.points))
        self.engine.submit(proposal)
        self.proposals.append(proposal)
        return bool((proposal.trial != EMPTY).any())

    def collect(self) -> None:
        """Collects once and tells."""
        outcome = self.engine.collect()
        self.state = self.tell(self.state, outcome)
        self.outcomes.append(outcome)

    def generations(self, count: int) -> None:
        """Submits, then collects all, ``count`` times or until nothing is proposed."""
        for _ in range(count):
            if not self.propose():
                return
            while self.engine.pending:
                self.collect()

    def rows(self, name: str) -> np.ndarray:
        """One field of all rows that came back, in their order."""
        real = np.concatenate([np.asarray(o.trial) != EMPTY for o in self.outcomes])
        return np.concatenate([np.asarray(getattr(o, name)) for o in self.outcomes])[
            real
        ]


@pytest.mark.parametrize("sketch", sketches.SKETCHES, ids=lambda cls: cls.__name__)
def test_each_method_takes_fewer_than_40_lines(sketch: type) -> None:
    lines = [line for line in inspect.getsource(sketch).splitlines() if line.strip()]
    assert len(lines) < 40


def test_population_based_training_continues_copies_of_the_best() -> None:
    algorithm = sketches.PopulationBasedTraining()
    search = Search(algorithm, FakeEngine(rows=8, points=30))
    search.generations(8)
    first, later = search.proposals[0], search.proposals[1:]
    assert (np.asarray(first.source) == FRESH).all()
    assert len(set(search.rows("trial").tolist())) == 64
    for generation, proposal in enumerate(later, start=1):
        fitness = np.asarray(search.outcomes[generation - 1].fitness)[:, 0]
        order = np.argsort(-fitness, kind="stable")
        source, x = np.asarray(proposal.source), np.asarray(proposal.x)
        parents = np.asarray(search.proposals[generation - 1].x)
        assert source[order[-2:]].tolist() == order[:2].tolist()
        kept = order[:-2]
        assert source[kept].tolist() == kept.tolist()
        np.testing.assert_array_equal(x[kept], parents[kept])
        # Twins never share their hyperparameters with the parent.
        assert (x[order[-2:]] != parents[order[:2]]).any(axis=1).all()
        # The copy goes on from the parent's curve, not from its own.
        curve = np.asarray(search.outcomes[generation].curve)
        before = np.asarray(search.outcomes[generation - 1].curve)
        np.testing.assert_array_equal(
            curve[order[-1], : 3 * generation], before[order[1], : 3 * generation]
        )
    assert search.outcomes[-1].spent.tolist() == [24.0] * 8


def test_population_based_training_ends_above_its_own_first_members() -> None:
    def score(quantile: float) -> float:
        algorithm = sketches.PopulationBasedTraining(quantile=quantile)
        search = Search(algorithm, FakeEngine(rows=8, points=30))
        search.generations(10)
        return float(np.asarray(search.outcomes[-1].fitness).mean())

    assert score(0.25) > score(0.0)


def test_halving_spends_what_the_paper_says_and_keeps_the_best() -> None:
    search = Search(sketches.SuccessiveHalving(), FakeEngine(rows=9))
    search.generations(10)
    members = [int((p.trial != EMPTY).sum()) for p in search.proposals]
    assert members == [9, 3, 1, 0]
    assert search.engine.units == 9 * 1 + 3 * (3 - 1) + 1 * (9 - 3)
    for rung in (0, 1):
        fitness = np.asarray(search.outcomes[rung].fitness)[:, 0]
        told = np.asarray(search.outcomes[rung].trial)
        best = told[np.argsort(-fitness)][: members[rung + 1]]
        assert set(best) == set(search.proposals[rung + 1].trial.tolist()) - {EMPTY}


def test_asynchronous_halving_promotes_only_the_top_of_what_it_knows() -> None:
    engine = FakeEngine(rows=2, lanes=6)
    search = Search(sketches.AsynchronousHalving(), engine)
    promotions = 0
    for _ in range(40):
        while engine.idle >= 2 and search.propose():
            proposal = search.proposals[-1]
            for row in np.flatnonzero(np.asarray(proposal.source) != FRESH):
                # Its rung, as far as it was known at that time.
                rung = search.rows("spent") == float(proposal.until[row]) / 3
                fitness = search.rows("fitness")[rung, 0]
                own = fitness[search.rows("trial")[rung] == int(proposal.trial[row])]
                assert own.size == 1
                assert (fitness > own[0]).sum() < fitness.size // 3
                promotions += 1
        if not engine.pending:
            break
        search.collect()
    pairs = list(zip(search.rows("trial"), search.rows("spent"), strict=True))
    assert len(pairs) == len(set(pairs)) == 32 + promotions
    assert set(search.rows("spent").tolist()) == {1.0, 3.0, 9.0}
    # Rows of several rungs were under way at the same time.
    assert any(len(set(p.until.tolist())) > 1 for p in search.proposals)


def test_fold_races_stop_trials_that_fall_behind() -> None:
    search = Search(sketches.FoldRacing(), FakeEngine(rows=8, noise=0.01))
    search.generations(10)
    trial, replica = search.rows("trial"), search.rows("replica")
    pairs = list(zip(trial.tolist(), replica.tolist(), strict=True))
    assert len(pairs) == len(set(pairs)) < 8 * 5
    folds = np.bincount(trial, minlength=8)
    fitness = search.rows("fitness")[:, 0]
    winner = max(range(8), key=lambda t: float(fitness[trial == t].mean()))
    assert folds[winner] == 5
    assert folds.min() == 1


def test_bayesian_search_moves_away_from_pending_points() -> None:
    algorithm = sketches.BayesianSearch()
    search = Search(algorithm, FakeEngine(rows=4))
    search.generations(3)
    first = search.ask(search.key, search.state)
    known = search.tell(search.state, pending(first, points=9))
    second = search.ask(search.key, known)
    assert second.trial.tolist() == [trial + 4 for trial in first.trial.tolist()]
    gaps = np.linalg.norm(np.asarray(second.x)[:, None] - np.asarray(first.x), axis=2)
    assert gaps.min() > 0.05


def test_bayesian_search_beats_its_own_first_batch() -> None:
    search = Search(sketches.BayesianSearch(), FakeEngine(rows=4))
    search.generations(10)
    fitness = search.rows("fitness")[:, 0]
    assert fitness[-8:].mean() > fitness[:4].mean()
    assert fitness[4:].max() > fitness[:4].max()
