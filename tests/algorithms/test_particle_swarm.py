"""A particle swarm moves as a plain loop over its particles does."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from evotune._contracts import pending
from evotune.algorithms import ParticleSwarm
from evotune.testing import choice, cube, finish, floating, integer, part
from evotune.testing._harness import harness
from evotune.testing._haste import hasty_jit

FLAT = cube(floating(), floating(), floating())
SWARM = ParticleSwarm(population_size=8)


def _generations(run, number):
    """States and proposals of some generations, and the state after them."""
    state, rows = run.start(), []
    for generation in range(number):
        proposal = run.ask(jax.random.key(generation), state)
        rows.append((state, proposal))
        state = run.tell(state, pending(proposal))
        state = run.tell(state, finish(proposal, run.score(proposal)))
    return rows, state


def test_state_is_what_a_plain_loop_keeps() -> None:
    run = harness(SWARM, FLAT)
    rows, state = _generations(run, 4)
    x = np.stack([proposal.x for _, proposal in rows])
    fitness = np.stack([run.score(proposal) for _, proposal in rows])
    for particle in range(8):
        best = int(fitness[:, particle].argmax())
        assert int(state.bests.trial[particle]) == best * 8 + particle
        np.testing.assert_array_equal(state.bests.x[particle], x[best, particle])
    np.testing.assert_array_equal(state.position.value, x[-1])
    np.testing.assert_allclose(state.velocity, x[-1] - x[-2], atol=1e-7)


def test_steps_are_those_of_the_formula() -> None:
    run = harness(SWARM, FLAT)
    _, state = _generations(run, 3)
    random = np.random.default_rng(0)
    u = random.random((3, 8, 3)).astype(np.float32)
    seat = np.asarray([3, 0, 1, 7, 2, 5, 6, 4])
    found = hasty_jit(SWARM._moved)(state, seat, *u)
    bests = np.asarray(state.bests.x)
    leader = bests[int(np.argmax(state.bests.fitness))]
    for row, i in enumerate(seat):
        x, v = np.asarray(state.position.value[i]), np.asarray(state.velocity[i])
        v = 0.7298 * v + 1.49618 * (
            u[0, row] * (bests[i] - x) + u[1, row] * (leader - x)
        )
        expected = np.clip(x + np.clip(v, -0.5, 0.5), 0.0, 1.0)
        np.testing.assert_allclose(found[row], expected, rtol=1e-5, atol=1e-6)


def test_small_steps_along_levels_add_up_on_average_and_categories_are_known() -> None:
    space = cube(integer(5), choice(7), floating())
    swarm = ParticleSwarm(population_size=8, own_pull=0.0, best_pull=0.5)
    run = harness(swarm, space)
    state = run.start()
    x = np.asarray([[0.1, 0.5 / 7, 0.5]] * 8, np.float32)
    x[3] = [0.9, 4.5 / 7, 0.5]
    proposal = run.ask(jax.random.key(0), state)
    proposal = type(proposal)(**{**vars(proposal), "x": jnp.asarray(x)})
    state = run.tell(state, finish(proposal, np.arange(8) == 3))
    u = np.random.default_rng(0).random((3, 4000, 3)).astype(np.float32)
    found = np.asarray(hasty_jit(swarm._moved)(state, np.zeros(4000, np.int32), *u))
    level = np.floor(found[:, 0] * 5)
    assert set(level) == {0, 1, 2}  # a step of 0.2 on average, and of 0.4 at most
    np.testing.assert_allclose((level + 0.5).mean() / 5, 0.1 + 0.2, atol=0.01)
    category = np.floor(found[:, 1] * 7)
    assert set(category) == {0, 4}
    np.testing.assert_allclose((category == 4).mean(), 0.5 / 1.2298, atol=0.03)


def test_particles_without_a_position_are_sampled() -> None:
    run = harness(SWARM, FLAT)
    rows, state = _generations(run, 1)
    proposal = rows[0][1]
    state = run.tell(run.start(), part(finish(proposal, 0.5), np.arange(8) == 2))
    x = np.asarray(run.ask(jax.random.key(3), state).x)
    at_rest = (x == np.asarray(proposal.x)).all(1)
    assert not at_rest.any()  # particle 2 is at the best there is: it was mutated
    assert np.ptp(x[[0, 1, 3, 4, 5, 6, 7]], axis=0).min() > 0.5


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("population_size", 1),
        ("inertia", 1.5),
        ("own_pull", -1.0),
        ("best_pull", float("nan")),
        ("max_velocity", 2.0),
    ],
)
def test_bad_settings_are_named_with_the_way_out(name, value) -> None:
    with pytest.raises(ValueError, match=rf"`{name}` must be .*Use for example"):
        ParticleSwarm(**{name: value})
