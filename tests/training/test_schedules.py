"""Schedules equal optax's at every step, with plain and with traced arguments."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from evotune import nn
from evotune.training import at_step, is_scheduled, make_optimizer, schedules

T = 60
# name: (optax's schedule over T steps, arguments of ours)
SAME = {
    "constant": (optax.constant_schedule(1.0), {}),
    "linear": (optax.linear_schedule(1.0, 0.1, T), {"final": 0.1}),
    "polynomial": (
        optax.polynomial_schedule(1.0, 0.2, 1.5, T),
        {"power": 1.5, "final": 0.2},
    ),
    "step": (
        optax.piecewise_constant_schedule(1.0, {30: 0.2, 45: 0.2}),
        {"decay_rate": 0.2},
    ),
    "exponential": (
        optax.exponential_decay(1.0, 20, 0.3, end_value=0.05),
        {"decay_rate": 0.3, "decay_fraction": 1 / 3, "final": 0.05},
    ),
    "exponential_staircase": (
        optax.exponential_decay(1.0, 20, 0.3, staircase=True),
        {"decay_rate": 0.3, "decay_fraction": 1 / 3},
    ),
    "cosine": (optax.cosine_decay_schedule(1.0, T, alpha=0.1), {"final": 0.1}),
    "cosine_restarts": (
        optax.join_schedules(
            [optax.cosine_decay_schedule(1.0, 12, alpha=0.1)] * 5, [12, 24, 36, 48]
        ),
        {"cycles": 5, "final": 0.1},
    ),
    "one_cycle": (optax.cosine_onecycle_schedule(T, 1.0), {}),
    "inverse_sqrt": (lambda t: (1 + t / (0.25 * T)) ** -0.5, {"decay_fraction": 0.25}),
}
ALL_STEPS = jnp.arange(T + 10)


def every(function):
    return [float(function(t)) for t in range(T + 10)]


def of(name, **arguments):
    schedule = schedules.SCHEDULES[name]
    return jax.vmap(lambda t: schedule(t, T, **arguments))(ALL_STEPS)


def optax_values(schedule):
    with jax.numpy_dtype_promotion("standard"):  # optax is not strict
        return every(schedule)


def test_the_list_of_schedules_is_complete():
    assert tuple(SAME) == tuple(schedules.SCHEDULES)


@pytest.mark.parametrize("name", SAME)
def test_every_step_is_that_of_optax(name):
    expected, arguments = SAME[name]
    wanted = optax_values(expected)
    schedule = schedules.SCHEDULES[name]
    got = of(name, **arguments)
    assert got.dtype == jnp.float32
    np.testing.assert_allclose(got, wanted, rtol=2e-5, atol=1e-6)
    columns = {key: jnp.full(2, value) for key, value in arguments.items()}

    def traced(horizon, values):
        return jax.vmap(lambda t: schedule(t, horizon, **values))(ALL_STEPS)

    both = jax.jit(jax.vmap(traced))(jnp.asarray([T, T]), columns)
    np.testing.assert_allclose(both[1], wanted, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("name", SAME)
@pytest.mark.parametrize("horizon", [0, 1, 2, 7])
def test_short_horizons_give_finite_factors(name, horizon):
    steps = jnp.arange(horizon + 2)
    got = jax.vmap(lambda t: schedules.SCHEDULES[name](t, horizon))(steps)
    assert np.isfinite(got).all()
    assert (np.asarray(got) >= 0).all()
    assert (np.asarray(got) <= 1).all()


@pytest.mark.parametrize("total", [7, 33, 90, 1000, 9999])
def test_boundaries_fall_on_their_steps_for_any_horizon(total):
    steps = jnp.arange(total)

    def falls(name, **arguments):
        def at(t, horizon):
            return schedules.SCHEDULES[name](t, horizon, **arguments)

        for horizon in (total, jnp.int32(total)):
            values = jax.jit(jax.vmap(at, in_axes=(0, None)))(steps, horizon)
            yield np.flatnonzero(np.abs(np.diff(values)) > 0.05) + 1

    halves = [math.ceil(0.5 * total), math.ceil(0.75 * total)]
    for found in falls("step", decay_rate=0.4):
        assert found.tolist() == halves
    thirds = [-(-total // 3), -(-2 * total // 3)]
    for found in falls("exponential_staircase", decay_rate=0.4):
        assert found.tolist() == thirds
    if total > 100:
        for found in falls("cosine_restarts"):
            assert found.tolist() == thirds


def factors(hp, total):
    hp = {"learning_rate": 0.1, **hp}
    rate = jax.vmap(lambda t: at_step(hp, t, total)["learning_rate"])
    return np.asarray(rate(jnp.arange(total))) / 0.1


def test_a_linear_warmup_is_that_of_optax():
    wanted = optax.join_schedules(
        [optax.linear_schedule(0.01, 1.0, 6), optax.cosine_decay_schedule(1.0, 54)],
        [6],
    )
    wanted = optax_values(wanted)[:T]
    for warmup in ({"warmup": 0.1}, {"warmup_steps": 6}, {"warmup": jnp.float32(0.1)}):
        got = factors({"schedule": "cosine", **warmup}, T)
        np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-6)


def test_an_exponential_warmup_is_that_of_optax():
    wanted = optax.join_schedules(
        [optax.exponential_decay(0.05, 15, 20.0), optax.constant_schedule(1.0)], [15]
    )
    hp = {"warmup": 0.25, "warmup_shape": "exponential", "warmup_start": 0.05}
    wanted = optax_values(wanted)[:T]
    np.testing.assert_allclose(factors(hp, T), wanted, rtol=1e-5)
    hp["warmup_shape"] = nn.Choice(jnp.int32(1), ("linear", "exponential"))
    np.testing.assert_allclose(factors(hp, T), wanted, rtol=1e-5)


def test_after_a_warmup_the_inverse_square_root_is_that_of_its_source():
    hp = {"schedule": "inverse_sqrt", "warmup": 0.1, "decay_fraction": 1 / 9}
    after = np.arange(6, T)
    np.testing.assert_allclose(factors(hp, T)[6:], np.sqrt(6 / after), rtol=1e-5)


def test_a_choice_of_all_schedules_is_each_of_them():
    options = tuple(SAME)
    horizons = 50 + jnp.arange(len(options))  # members differ in length, too

    def member(index, horizon):
        hp = {"learning_rate": 0.1, "schedule": nn.Choice(index, options)}
        at = jax.vmap(lambda t: at_step(hp, t, horizon)["learning_rate"])
        return at(ALL_STEPS)

    got = jax.jit(jax.vmap(member))(jnp.arange(len(options)), horizons)
    for row, name in enumerate(options):
        own = jax.vmap(lambda t, n=name, h=50 + row: schedules.SCHEDULES[n](t, h))
        np.testing.assert_allclose(got[row], 0.1 * own(ALL_STEPS), rtol=1e-4, atol=1e-7)


def test_other_rates_follow_their_own_schedules():
    hp = {
        "learning_rate": 0.1,
        "momentum": 0.9,
        "weight_decay": 0.01,
        "l1": 1e-3,
        "l2": 1e-4,
        "momentum_schedule": "linear",
        "final_momentum": 0.5,
        "weight_decay_schedule": "cosine",
        "l1_schedule": "step",
        "l2_schedule": "constant",
    }
    now = at_step(hp, 30, T)
    assert now["learning_rate"] == 0.1
    assert float(now["momentum"]) == pytest.approx(0.9 * 0.75)
    assert float(now["weight_decay"]) == pytest.approx(0.005)
    assert float(now["l1"]) == pytest.approx(1e-4)
    assert now["l2"] == 1e-4


def test_without_a_schedule_nothing_is_computed():
    hp = {"learning_rate": 0.1, "schedule": "constant", "final_learning_rate": 0.5}
    assert not is_scheduled(hp)
    assert at_step(hp, None, T) is hp
    assert is_scheduled({"warmup": 0.1})
    assert is_scheduled({"schedule": "cosine"})
    assert not is_scheduled({"l1_schedule": "cosine"}), "there is no l1"


@pytest.mark.parametrize("name", ["momentum", "rmsprop", "adamw"])
def test_scheduled_rates_train_as_optax_does(name):
    rate, falling = optax.linear_schedule(0.1, 0.0, 8), optax.linear_schedule
    momentum, decay = falling(0.9, 0.45, 8), falling(0.1, 0.0, 8)
    hp = {
        "momentum": {"momentum_schedule": "linear", "final_momentum": 0.5},
        "rmsprop": {},
        "adamw": {"weight_decay": 0.1, "weight_decay_schedule": "linear"},
    }[name]
    hp |= {"optimizer": name, "learning_rate": 0.1, "schedule": "linear"}
    hp |= {} if name == "adamw" else {"momentum": 0.9}
    reference = {
        "momentum": lambda: optax.inject_hyperparams(optax.sgd)(
            learning_rate=rate, momentum=momentum
        ),
        "rmsprop": lambda: optax.rmsprop(rate, momentum=0.9),
        "adamw": lambda: optax.adamw(rate, weight_decay=decay),
    }[name]()
    params = wanted = {"kernel": jnp.ones((2, 2))}
    state, optax_state = make_optimizer(hp).init(params), reference.init(params)
    for t in range(8):
        gradients = {"kernel": jnp.asarray([[1.0, -2.0], [0.5 * t, 3.0 - t]])}
        now = make_optimizer(at_step(hp, t, 8))
        updates, state = now.update(gradients, state, params)
        params = optax.apply_updates(params, updates)
        with jax.numpy_dtype_promotion("standard"):  # optax is not strict
            updates, optax_state = reference.update(gradients, optax_state, wanted)
            wanted = optax.apply_updates(wanted, updates)
        np.testing.assert_allclose(params["kernel"], wanted["kernel"], rtol=1e-5)
