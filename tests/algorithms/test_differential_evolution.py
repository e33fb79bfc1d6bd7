"""Differential evolution is what a plain loop makes of the same numbers."""

from __future__ import annotations

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evotune._contracts import pending
from evotune.algorithms import DifferentialEvolution
from evotune.algorithms._differences import others, rivals
from evotune.algorithms._population import Population
from evotune.testing import choice, cube, finish, floating, part
from evotune.testing._harness import harness
from evotune.testing._haste import hasty_jit

SPACE = cube(floating(), floating(), floating(), choice(4))
SEARCH = DifferentialEvolution(population_size=12)


def test_others_are_distinct_and_each_has_the_same_chance() -> None:
    u = np.random.default_rng(0).random((6000, 3)).astype(np.float32)
    own = np.arange(6000, dtype=np.int32) % 5
    chosen = np.stack(others(jnp.asarray(u), jnp.asarray(own), jnp.int32(5)), axis=1)
    rows = np.concatenate([own[:, None], chosen], axis=1)
    assert (np.sort(rows, axis=1)[:, 1:] > np.sort(rows, axis=1)[:, :-1]).all()
    assert rows.max() == 4
    for column in chosen.T:
        counts = np.bincount(column[own == 0], minlength=5)
        assert counts[0] == 0
        np.testing.assert_allclose(counts[1:] / 1200, 0.25, atol=0.06)


def _plain_rival(strategy, x, fitness, i, control, choose, cross, leads, differs):
    """One rival by the formulas of the docstring, in a loop over coordinates."""
    known = [seat for seat in np.argsort(-fitness, kind="stable") if fitness[seat] > -9]
    few = max(int(np.ceil(np.float32(0.15) * len(known))), 1)
    taken, chosen = [known.index(i)], []
    for u in choose[:3]:
        left = [rank for rank in range(len(known)) if rank not in taken]
        taken.append(left[int(u * len(left))])
        chosen.append(x[known[taken[-1]]])
    a, b, c = chosen
    best, some = x[known[0]], x[known[int(choose[3] * few)]]
    base, lead = {
        "rand": (c, c),
        "best": (best, best),
        "current_to_best": (x[i], best),
        "current_to_pbest": (x[i], some),
    }[strategy]
    weight, rate = control
    child = x[i].copy()
    for d in range(4):
        if not (cross[d] < rate or d == int(choose[4] * 4)):
            continue
        if d == 3:
            child[d] = lead[d] if leads[d] < weight else base[d]
            if differs[d] < weight and a[d] != b[d]:
                child[d] = a[d]
            continue
        v = base[d] + weight * (lead[d] - base[d]) + weight * (a[d] - b[d])
        if v < 0:
            v = x[i, d] / 2
        elif v > 1:
            v = (1 + x[i, d]) / 2
        child[d] = v
    return child


@pytest.mark.parametrize(
    "strategy", ["rand", "best", "current_to_best", "current_to_pbest"]
)
def test_rivals_are_those_of_a_plain_loop(strategy) -> None:
    random = np.random.default_rng(1)
    seats = 16
    x = random.random((seats, 4)).astype(np.float32)
    x[:, 3] = (np.floor(4 * x[:, 3]) + 0.5) / 4
    fitness = random.normal(size=seats).astype(np.float32)
    fitness[[3, 8]] = -np.inf
    seat = np.flatnonzero(np.isfinite(fitness)).astype(np.int32)
    shape = (len(seat), 4)
    control = random.random((len(seat), 2)).astype(np.float32)
    choose = random.random((len(seat), 5)).astype(np.float32)
    draws = [random.random(shape).astype(np.float32) for _ in range(3)]
    population = Population(
        x=jnp.asarray(x), fitness=jnp.asarray(fitness), trial=jnp.arange(seats)
    )
    plain = hasty_jit(functools.partial(rivals, strategy, geometry=SPACE))
    found = plain(
        population=population,
        seat=seat,
        control=control,
        choose=choose,
        **dict(zip(("cross", "leads", "differs"), draws, strict=True)),
    )
    for row, i in enumerate(seat):
        numbers = [each[row] for each in (control, choose, *draws)]
        expected = _plain_rival(strategy, x, fitness, i, *numbers)
        np.testing.assert_allclose(found[row], expected, rtol=1e-5, atol=1e-6)


def test_a_seat_that_nobody_holds_is_sampled() -> None:
    run = harness(SEARCH, SPACE)
    state, proposal, outcome = run.generations[0]
    state = run.tell(state, pending(proposal))
    state = run.tell(state, part(outcome, np.arange(12) < 6))
    x = np.asarray(run.ask(jax.random.key(4), state).x)
    fresh_rows = x[6:, 0]
    assert np.ptp(fresh_rows) > 0.4
    assert not np.isin(fresh_rows, np.asarray(proposal.x)[:, 0]).any()


def test_numbers_that_win_a_seat_stay_with_it() -> None:
    run = harness(SEARCH, cube(floating(), floating()))
    state = run.start()
    control = hasty_jit(SEARCH._control)
    for generation in range(6):
        proposal = run.ask(jax.random.key(generation), state)
        planned = np.asarray(control(state.seats, proposal.trial))
        before = np.asarray(state.seats.control)
        state = run.tell(state, pending(proposal))
        wins = np.arange(12) % 2 == generation % 2
        fitness = np.where(wins, float(generation + 1), -float(generation + 1))
        outcome = finish(proposal, fitness)
        # In two parts, and the newer first.
        state = run.tell(state, part(outcome, np.arange(12) >= 6))
        state = run.tell(state, part(outcome, np.arange(12) < 6))
        held = np.asarray(state.seats.holders.trial) == np.asarray(proposal.trial)
        expected = np.where(held[:, None], planned, before)
        np.testing.assert_allclose(np.asarray(state.seats.control), expected, rtol=1e-6)
    assert held.tolist() == wins.tolist()
    assert (planned[:, 0] >= 0.1).all()
    assert (planned <= 1.0).all()
    assert len(np.unique(planned[:, 0])) > 4  # a tenth is drawn anew, each time


def test_numbers_that_are_given_are_used() -> None:
    given = DifferentialEvolution(
        population_size=8, differential_weight=0.4, crossover_rate=1.0
    )
    state = given.init(jax.random.key(0), SPACE)
    control = np.asarray(given._control(state.seats, jnp.arange(8)))
    np.testing.assert_allclose(control, [[0.4, 1.0]] * 8)


def test_trials_that_others_ran_compete_for_seats() -> None:
    run = harness(SEARCH, SPACE)
    state, proposal, _ = run.generations[1]
    foreign = dataclasses.replace(
        finish(proposal, np.full(12, 5.0)),
        trial=jnp.full((12,), -1).at[3].set(1000 * 12 + 7),
        x=jnp.full_like(proposal.x, 0.125),
    )
    state = run.tell(state, foreign)
    assert int(state.seats.holders.trial[7]) == 12007
    np.testing.assert_allclose(np.asarray(state.seats.holders.x[7]), 0.125)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"population_size": 3}, "`population_size` must be an integer of at least 4"),
        ({"strategy": "rnd"}, "Did you mean 'rand'"),
        ({"differential_weight": -0.1}, "`differential_weight` must be a number"),
        ({"crossover_rate": 1.1}, "`crossover_rate` must be a number from 0 to 1"),
    ],
)
def test_bad_settings_are_named_with_the_way_out(settings, words) -> None:
    with pytest.raises(ValueError, match=r"Use for example|one of") as error:
        DifferentialEvolution(**settings)
    assert words in str(error.value)
