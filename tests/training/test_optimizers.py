"""Every optimiser is optax's own, static or picked by a traced choice."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from evotune import nn
from evotune._errors import HyperparameterError
from evotune.training import OPTIMIZERS, is_kernel, make_optimizer

STEPS = 20
DECAYED = {"mask": is_kernel}

# optax's own functions by the rates that they take.
OPTAX = {
    "sgd": (optax.sgd, ()),
    "momentum": (optax.sgd, ("momentum",)),
    "nesterov": (functools.partial(optax.sgd, nesterov=True), ("momentum",)),
    "rmsprop": (optax.rmsprop, ("eps",)),
    "adagrad": (optax.adagrad, ("eps",)),
    "adam": (optax.adam, ("b1", "b2", "eps")),
    "adamw": (functools.partial(optax.adamw, **DECAYED), ("b1", "b2", "eps")),
    "nadam": (optax.nadam, ("b1", "b2", "eps")),
    "nadamw": (functools.partial(optax.nadamw, **DECAYED), ("b1", "b2", "eps")),
    "radam": (optax.radam, ("b1", "b2", "eps")),
    "lion": (functools.partial(optax.lion, **DECAYED), ("b1", "b2")),
    "lamb": (functools.partial(optax.lamb, **DECAYED), ("b1", "b2", "eps")),
}
TAKE_DECAY = ("adamw", "nadamw", "lion", "lamb")
DEFAULTS = {"momentum": 0.9}

RATES = {
    "learning_rate": [0.1, 0.01, 0.003],
    "momentum": [0.5, 0.9, 0.0],
    "b1": [0.9, 0.8, 0.0],
    "b2": [0.999, 0.9, 0.95],
    "eps": [1e-8, 1e-3, 1e-6],
    "weight_decay": [0.0, 0.1, 0.01],
}


def start():
    keys = jax.random.split(jax.random.key(0), 3)
    return {
        "layer": {
            "kernel": jax.random.normal(keys[0], (4, 3)),
            "bias": jnp.zeros(3),
        },
        "output": {"kernel": jax.random.normal(keys[1], (3, 2))},
        "unused": jnp.zeros((2, 2)),
    }


def gradients(step):
    """Large and small ones, of either sign, and zeros where nothing is used.

    They do not depend on the weights, so that rounding does not grow.
    """
    t = step.astype(jnp.float32)
    scale = 10.0 ** (2.0 * jnp.sin(t))
    found = jax.tree.map(lambda w: scale * jnp.sin(3.0 * w + t + 1.0), start())
    return {**found, "unused": jnp.zeros((2, 2))}


def start_train(optimizer, dtype=jnp.float32):
    params = jax.tree.map(lambda w: w.astype(dtype), start())
    return params, optimizer.init(params)


def train(optimizer, dtype=jnp.float32):
    """Params after each of `STEPS` steps, in one scan."""

    def step(carry, number):
        params, state = carry
        grads = jax.tree.map(lambda g: g.astype(dtype), gradients(number))
        updates, state = optimizer.update(grads, state, params)
        params = optax.apply_updates(params, updates)
        return (params, state), params

    carry = start_train(optimizer, dtype)
    return jax.lax.scan(step, carry, jnp.arange(STEPS))[1]


def plain_train(optimizer):
    """The same, one step after the other, as optax's documentation has it."""
    seen = []
    params, state = start_train(optimizer)
    with jax.numpy_dtype_promotion("standard"):  # optax is not strict
        for number in range(STEPS):
            grads = gradients(jnp.int32(number))
            updates, state = optimizer.update(grads, state, params)
            params = optax.apply_updates(params, updates)
            seen.append(params)
    return jax.tree.map(lambda *steps: jnp.stack(steps), *seen)


def plain(name, rates):
    """What optax's own function of the same name trains."""
    make, reads = OPTAX[name]
    given = {key: rates[key] for key in reads if key in rates}
    if "momentum" in reads:
        given = {**DEFAULTS, **given}
    if name in TAKE_DECAY and "weight_decay" in rates:
        given["weight_decay"] = rates["weight_decay"]
    return plain_train(make(rates["learning_rate"], **given))


def assert_same(got, expected):
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-6),
        got,
        expected,
    )


def rates_of(name):
    reads = ("learning_rate", *OPTAX[name][1])
    return reads + (("weight_decay",) if name in TAKE_DECAY else ())


def test_the_list_of_optimizers_is_complete():
    assert tuple(OPTAX) == OPTIMIZERS


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_defaults_are_those_of_optax(name):
    got = plain_train(make_optimizer({"optimizer": name}))
    assert_same(got, plain(name, {"learning_rate": 1e-3}))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_traced_rates_under_vmap_are_optax_step_by_step(name):
    columns = {key: jnp.asarray(RATES[key]) for key in rates_of(name)}
    population = jax.jit(
        jax.vmap(lambda rates: train(make_optimizer({"optimizer": name, **rates})))
    )(columns)
    for member in range(3):
        rates = {key: column[member] for key, column in columns.items()}
        got = jax.tree.map(lambda leaf, i=member: leaf[i], population)
        assert_same(got, plain(name, rates))


def choose(options, index, rates):
    choice = nn.Choice(index, tuple(options))
    return train(make_optimizer({"optimizer": choice, **rates}))


def test_a_choice_of_all_optimizers_is_each_of_them():
    rates = {"learning_rate": jnp.full(len(OPTIMIZERS), 0.01)}
    population = jax.jit(jax.vmap(lambda i, r: choose(OPTIMIZERS, i, r)))(
        jnp.arange(len(OPTIMIZERS)), rates
    )
    for member, name in enumerate(OPTIMIZERS):
        got = jax.tree.map(lambda leaf, i=member: leaf[i], population)
        assert_same(got, plain(name, {"learning_rate": 0.01}))
        assert not np.any(got["unused"]), "zero gradients leave zero weights at zero"


def test_a_choice_with_traced_rates_is_the_static_optimizer():
    options = ("sgd", "rmsprop", "adam", "lion", "lamb", "nesterov")
    columns = {
        key: jnp.resize(jnp.asarray(values), len(options))
        for key, values in RATES.items()
    }
    columns["nesterov"] = jnp.arange(len(options)) % 2 == 0
    population = jax.jit(jax.vmap(lambda i, r: choose(options, i, r)))(
        jnp.arange(len(options)), columns
    )
    for member, name in enumerate(options):
        hp = {key: column[member] for key, column in columns.items()}
        static = make_optimizer({"optimizer": name, **hp})
        got = jax.tree.map(lambda leaf, i=member: leaf[i], population)
        assert_same(got, plain_train(static))


def test_a_choice_shares_one_state():
    optimizer = make_optimizer(
        {"optimizer": nn.Choice(jnp.int32(0), ("sgd", "adam", "rmsprop", "lamb"))}
    )
    params = start()
    sizes = [leaf.size for leaf in jax.tree.leaves(optimizer.init(params))]
    weights = sum(leaf.size for leaf in jax.tree.leaves(params))
    assert sum(sizes) == 2 * weights + 1  # two moments and a count
    light = make_optimizer({"optimizer": nn.Choice(jnp.int32(0), ("sgd", "lion"))})
    sizes = [leaf.size for leaf in jax.tree.leaves(light.init(params))]
    assert sum(sizes) == weights + 1


def test_what_is_not_picked_may_overflow():
    options = ("sgd", "adam", "adagrad", "momentum")
    params = {"bias": jnp.ones(3)}
    large = {"bias": jnp.full(3, 1e25)}  # whose square is infinite
    hp = {"optimizer": nn.Choice(jnp.int32(0), options), "learning_rate": 1e-25}
    optimizer = make_optimizer(hp)
    state = optimizer.init(params)
    for _ in range(3):
        updates, state = optimizer.update(large, state, params)
        np.testing.assert_allclose(updates["bias"], -1.0, rtol=1e-6)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(state))


@pytest.mark.parametrize(
    "name", ["adam", "lamb", "rmsprop", nn.Choice(jnp.int32(0), ("radam", "sgd"))]
)
def test_float32_rates_keep_a_bfloat16_model(name):
    hp = {"optimizer": name, "learning_rate": jnp.float32(0.01)}
    params = train(make_optimizer(hp), jnp.bfloat16)
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {jnp.dtype(jnp.bfloat16)}


def test_rmsprop_with_momentum_is_that_of_optax():
    hp = {"optimizer": "rmsprop", "learning_rate": 0.01, "momentum": 0.8}
    got = train(make_optimizer({**hp, "nesterov": jnp.asarray(True)}))
    assert_same(got, plain_train(optax.rmsprop(0.01, momentum=0.8, nesterov=True)))


@pytest.mark.parametrize("bound", [0.3, jnp.float32(0.3)])
def test_clipping_is_that_of_optax(bound):
    hp = {"optimizer": "sgd", "learning_rate": 0.1}
    got = train(make_optimizer({**hp, "gradient_clip_value": bound}))
    assert_same(got, plain_train(optax.chain(optax.clip(0.3), optax.sgd(0.1))))
    both = {**hp, "gradient_clip_value": bound, "gradient_clip": jnp.float32(0.5)}
    parts = (optax.clip(0.3), optax.clip_by_global_norm(0.5), optax.sgd(0.1))
    assert_same(train(make_optimizer(both)), plain_train(optax.chain(*parts)))


@pytest.mark.parametrize(("scaling", "factor"), [("linear", 4.0), ("sqrt", 2.0)])
def test_the_learning_rate_scales_with_the_batch_size(scaling, factor):
    hp = {"optimizer": "sgd", "learning_rate": 0.1, "batch_size": 256}
    grads = params = {"bias": jnp.ones(2)}

    def step(scaling):
        optimizer = make_optimizer({**hp, "batch_size_scaling": scaling})
        return optimizer.update(grads, optimizer.init(params), params)[0]["bias"]

    np.testing.assert_allclose(step("none"), -0.1, rtol=1e-6)
    np.testing.assert_allclose(step(scaling), -0.1 * factor, rtol=1e-6)
    chosen = nn.Choice(jnp.int32(1), ("none", scaling))
    np.testing.assert_allclose(step(chosen), -0.1 * factor, rtol=1e-6)


def test_an_unknown_name_is_an_error_with_a_hint():
    with pytest.raises(HyperparameterError, match=r"Did you mean .*nadam"):
        make_optimizer({"optimizer": "nadan"})
