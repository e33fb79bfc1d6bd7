"""The MLP with norms, residuals and widths by layer is flax's of the true size."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen

from evotune import datasets, nn
from evotune._contracts import EMPTY, Binding, fresh
from evotune.engine import Engine
from evotune.models import MLP, Info
from evotune.models._mlp_sizes import inner_width
from evotune.space import Bool, Categorical, Float, Int, Space
from evotune.tasks import Classification, Hyperparameters
from tests.models.plain import PlainDrop

INFO = Info(input_shape=(7,), num_outputs=3)
SEED = 5
RATES = ("drop_path", "bottleneck")


class PlainMLP(linen.Module):
    """Written with flax alone; parameter names as evotune exports them."""

    widths: tuple[int, ...]
    activation: str
    norm: str
    residual: bool
    outputs: int = 3
    drop_path: float = 0.0
    bottleneck: float | None = None

    @linen.compact
    def __call__(self, x, *, train=False):
        def hidden(x, width, name):
            h = linen.Dense(width, name=name)(x)
            norm = name.replace("hidden", "norm")
            if self.norm == "layer":
                h = linen.LayerNorm(name=norm)(h)
            if self.norm == "rms":
                h = linen.RMSNorm(name=norm)(h)
            if self.norm == "batch":
                h = linen.BatchNorm(
                    use_running_average=not train, momentum=0.9, name=norm
                )(h)
            return getattr(linen, self.activation)(h)

        for i, width in enumerate(self.widths):
            adds, h = self.residual and i > 0 and width == x.shape[-1], x
            if adds and self.bottleneck is not None:
                inner = max(1, round(self.bottleneck * width))
                h = hidden(h, inner, f"inner_hidden_{i}")
            h = hidden(h, width, f"hidden_{i}")
            if adds:
                if train and self.drop_path:
                    rate = self.drop_path * (i + 1) / len(self.widths)
                    h = PlainDrop(rate, name=f"drop_path_{i}")(h)
                h = h + x
            x = h
        return linen.Dense(self.outputs, name="output")(x)


def plain(true, outputs=3):
    widths = tuple(
        true.get(f"width_{i}", true.get("width")) for i in range(true["depth"])
    )
    rest = (true["activation"], true["norm"], true["residual"], outputs)
    return PlainMLP(
        widths, *rest, true.get("drop_path", 0.0), true.get("bottleneck", None)
    )


def padded(true, capacity=16, depth=4):
    """``true`` as the engine shows it to one member of a mixed population."""
    values = {
        name: nn.Size(jnp.int32(value), capacity + 2 * i)
        for i, (name, value) in enumerate(true.items())
        if name.startswith("width")
    }
    names = tuple(nn.ACTIVATIONS)
    return Hyperparameters(
        {
            **values,
            "depth": nn.Size(jnp.int32(true["depth"]), depth),
            "activation": nn.Choice(jnp.int32(names.index(true["activation"])), names),
            "norm": nn.Choice(jnp.int32(nn.NORMS.index(true["norm"])), nn.NORMS),
            "residual": jnp.asarray(true["residual"]),
            **{k: true[k] for k in ("init_scale", "dropout") if k in true},
            **{k: jnp.float32(true[k]) for k in RATES if k in true},
        }
    )


def setting(depth, norm, *, residual, activation="gelu", **widths):
    return {
        "depth": depth,
        "norm": norm,
        "residual": residual,
        "activation": activation,
        **(widths or {"width": 6}),
    }


SETTINGS = [
    setting(1, "layer", residual=True),
    {**setting(3, "rms", residual=True), "drop_path": 0.4},
    {**setting(2, "batch", residual=True, activation="tanh"), "bottleneck": 0.4},
    {**setting(4, "batch", residual=False, activation="selu"), "bottleneck": 0.4},
    {
        **setting(3, "layer", residual=True, width_0=9, width_1=5, width_2=5),
        "width_3": 7,
        "bottleneck": 0.6,
        "drop_path": 0.3,
    },
    setting(1, "none", residual=True, width_0=12, width_1=3),
]
BY_NAME = [
    f"{s['depth']}-{s['norm']}-{s['residual']}-{i}" for i, s in enumerate(SETTINGS)
]


def close(got, expected, **tolerance):
    tolerance = {"rtol": 1e-5, "atol": 1e-6, **tolerance}
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, **tolerance), got, expected
    )


def initial(network, key):
    """Initial variables as numpy arrays, which are cut without compiling."""
    return jax.device_get(jax.jit(network.init)(key))


def used(params):
    """How many parameters are not zero."""
    return sum(np.count_nonzero(p) for p in jax.tree.leaves(params))


@pytest.mark.parametrize("true", SETTINGS, ids=BY_NAME)
def test_initial_values_do_not_depend_on_padding(true):
    model, key = MLP(), jax.random.key(8)
    alone = initial(model.network(Hyperparameters(true), INFO), key)
    expected = jax.eval_shape(plain(true).init, key, jnp.zeros((1, 7)))
    assert jax.tree.map(np.shape, alone) == jax.tree.map(np.shape, dict(expected))
    grown = initial(model.network(padded(true, 20, 5), INFO), key)
    sliced = model.slice(grown, Hyperparameters(true), INFO)
    close(sliced, alone, rtol=1e-6, atol=0.0)
    assert used(grown["params"]) == used(alone["params"])


@pytest.mark.parametrize("true", SETTINGS, ids=BY_NAME)
def test_training_padded_is_training_plain_flax(true):
    # Adam turns a gradient that is nothing but rounding, as that of a bias before batch
    # norm, into a whole step unless eps is above it.
    model, optimizer = MLP(), optax.adamw(0.003, eps=1e-4, weight_decay=0.1)
    network = model.network(padded(true), INFO)
    module, hp = plain(true), Hyperparameters(true)
    x = jax.random.normal(jax.random.key(2), (32, 7))
    y = jax.random.randint(jax.random.key(4), (32,), 0, 3)

    def through_evotune(variables):
        return network.apply(variables, x, train=True, key=jax.random.key(0))

    def through_flax(variables):
        rngs = {"dropout": jax.random.key(0)}
        out, new = module.apply(
            variables, x, train=True, mutable=["batch_stats"], rngs=rngs
        )
        return out, {**variables, **new}

    def train(apply, variables):
        def step(carry, _):
            variables, state = carry

            def loss(params):
                logits, new = apply({**variables, "params": params})
                losses = optax.softmax_cross_entropy_with_integer_labels(logits, y)
                return jnp.mean(losses), new

            params = variables["params"]
            (value, new), grads = jax.value_and_grad(loss, has_aux=True)(params)
            updates, state = optimizer.update(grads, state, params)
            new = {**new, "params": optax.apply_updates(params, updates)}
            return (new, state), (value, grads)

        state = optimizer.init(variables["params"])
        return jax.lax.scan(step, (variables, state), length=50)

    start = initial(network, jax.random.key(1))
    small = model.slice(start, hp, INFO)
    with jax.numpy_dtype_promotion("standard"):  # optax is not strict
        big = jax.jit(lambda v: train(through_evotune, v))(start)
        true_size = jax.jit(lambda v: train(through_flax, v))(small)
    (grown, _), (losses, grads) = jax.device_get(big)
    (alone, _), (wanted, slopes) = jax.device_get(true_size)
    np.testing.assert_allclose(losses[:2], wanted[:2], rtol=1e-5)
    np.testing.assert_allclose(losses, wanted, rtol=1e-3)
    first = jax.tree.map(lambda g: g[0], grads)
    close(
        model.slice({**start, "params": first}, hp, INFO)["params"],
        jax.tree.map(lambda g: g[0], slopes),
        rtol=1e-4,
    )
    # Nothing outside of the true sizes has moved.
    sliced = model.slice(grown, hp, INFO)
    assert used(grown["params"]) == used(sliced["params"])
    assert jax.tree.map(np.shape, sliced) == jax.tree.map(np.shape, alone)
    # And it predicts as flax does with the same variables.
    evaluate = jax.jit(lambda v: network.apply(v, x, train=False, key=None)[0])
    close(evaluate(grown), module.apply(sliced, x), rtol=1e-4, atol=1e-5)


def test_dropout_draws_do_not_depend_on_padding():
    true = {**setting(3, "layer", residual=True), "dropout": 0.4}
    model, key = MLP(), jax.random.key(3)
    network = model.network(padded(true), INFO)
    variables = initial(network, jax.random.key(1))
    x = jax.random.normal(jax.random.key(2), (5, 7))
    hp = Hyperparameters(true)
    sliced = model.slice(variables, hp, INFO)

    def outputs(network):
        return jax.jit(lambda v: network.apply(v, x, train=True, key=key)[0])

    expected = outputs(model.network(hp, INFO))(sliced)
    close(outputs(network)(variables), expected)


def test_defaults_compute_exactly_what_they_did_before():
    """The same tree, the same values and no more operations than a bare MLP."""
    model = MLP()
    hp = Hyperparameters(
        {"width": nn.Size(jnp.int32(5), 8), "depth": nn.Size(jnp.int32(2), 3)}
    )
    network = model.network(hp, INFO)
    variables = network.init(jax.random.key(0))
    names = {"hidden_0", "hidden_1", "hidden_2", "output"}
    assert set(variables) == {"params"}
    assert set(variables["params"]) == names
    shapes = [(5, 3), (7, 5), (5, 5)]
    kernels = nn.lecun_normals(jax.random.key(0), shapes, jnp.dtype("float32"))
    sliced = model.slice(variables, Hyperparameters({"width": 5, "depth": 2}), INFO)
    for name, kernel in zip(("output", "hidden_0", "hidden_1"), kernels, strict=True):
        np.testing.assert_array_equal(sliced["params"][name]["kernel"], kernel)

    def bare(p, x, depth):
        for layer in range(3):
            dense = p["params"][f"hidden_{layer}"]
            h = jax.nn.relu(x @ dense["kernel"] + dense["bias"][None])
            x = jnp.where(layer < depth, h, x) if layer else h
        return x @ p["params"]["output"]["kernel"] + p["params"]["output"]["bias"][None]

    def evotune(p, x, depth):
        hp = {"width": nn.Size(jnp.int32(5), 8), "depth": nn.Size(depth, 3)}
        network = model.network(Hyperparameters(hp), INFO)
        return network.apply(p, x, train=False, key=None)[0]

    arguments = (variables, jnp.ones((4, 7)), jnp.int32(2))
    costs = [
        jax.jit(f).lower(*arguments).compile().cost_analysis() for f in (bare, evotune)
    ]
    assert costs[0]["flops"] == costs[1]["flops"]


def test_init_scale_is_a_factor_on_the_kernels():
    key = jax.random.key(0)
    one = MLP().network(Hyperparameters({}), INFO).init(key)["params"]
    hp = Hyperparameters({"init_scale": jnp.float32(0.25)})
    for network in (MLP().network(hp, INFO), MLP(init_scale=0.25).network({}, INFO)):
        params = network.init(key)["params"]
        for name, dense in one.items():
            close(params[name]["kernel"], 0.25 * dense["kernel"])


def test_widths_may_be_listed():
    model = MLP(width=(12, 5))
    params = model.network({}, INFO).init(jax.random.key(0))["params"]
    assert params["hidden_0"]["kernel"].shape == (7, 12)
    assert params["hidden_1"]["kernel"].shape == (12, 5)
    assert model.multiply_adds({}, INFO) == 7 * 12 + 12 * 5 + 5 * 3
    deeper = model.network({"depth": 4}, INFO).init(jax.random.key(0))["params"]
    assert deeper["hidden_3"]["kernel"].shape == (5, 5)
    assert MLP().multiply_adds({"width_1": 9, "depth": 2, "width": 4}, INFO) == (
        7 * 4 + 4 * 9 + 9 * 3
    )


def test_a_bottleneck_is_counted_where_it_is():
    sizes = {"width_0": 9, "width_1": 6, "width_2": 6, "depth": 3, "bottleneck": 0.4}
    on = MLP().multiply_adds({**sizes, "residual": True}, INFO)
    assert on == 7 * 9 + 9 * 6 + 2 * 6 * 2 + 6 * 3
    assert MLP().multiply_adds(sizes, INFO) == 7 * 9 + 9 * 6 + 6 * 6 + 6 * 3


def test_inner_widths_round_alike_traced_and_plain():
    ratios = np.linspace(0.005, 1.0, 200)
    for width in (1, 5, 64, 250):
        got = jax.jit(
            jax.vmap(
                lambda b, w=width: inner_width(nn.Size(jnp.int32(w), 256), b).active
            )
        )(jnp.asarray(ratios, jnp.float32))
        assert got.tolist() == [inner_width(width, float(ratio)) for ratio in ratios]
        assert (got.min(), got.max()) == (1, width)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"norm": ("batch", "laier")}, "norm must be one of.*Did you mean 'layer'"),
        ({"residual": ("yes", True)}, "residual must be a bool.*residual=Bool"),
        ({"init_scale": (0.0, 1.0)}, "init_scale must be above 0"),
        ({"drop_path": (0.0, 1.0)}, "drop_path must lie in"),
        ({"bottleneck": (0.0, 1.0), "residual": True}, r"bottleneck .* in \(0, 1\]"),
        ({"bottleneck": (0.5, 1.0)}, "while residual is False. Use `residual=True`"),
        ({"width_1": (0, 4)}, "width_1 must be an integer of at least 1"),
        ({"width_2": (4, 8), "depth": (1, 2)}, "width_2 is the width of a hidden"),
        ({"width": (4, True)}, "width must be an integer"),
    ],
)
def test_bad_values_say_what_to_do(values, message):
    problems = MLP().check(values)
    assert len(problems) == 1
    with pytest.raises(ValueError, match=message):
        raise ValueError(problems[0])


def test_good_values_are_no_problem():
    values = {
        "depth": (1, 3),
        "width_2": (4, 8),
        "norm": ("none", "layer", "batch"),
        "residual": (False, True),
        "bottleneck": (None, 0.5),
    }
    assert MLP(width=(8, 4)).check(values) == []


# -- in the engine ---------------------------------------------------------------------


def mixed(low, high, epochs):
    return Space(
        learning_rate=Float(1e-4, 3e-3, log=True),
        width=Int(low, high, log=True),
        depth=Int(1, 4),
        activation=Categorical(list(nn.ACTIVATIONS)),
        norm=Categorical(list(nn.NORMS)),
        residual=Bool(),
        dropout=Float(0.0, 0.5),
        epochs=epochs,
    )


@pytest.fixture(scope="module")
def digits():
    return Classification(datasets.digits(), model=MLP())


def test_a_mixed_population_takes_at_most_four_programs(digits):
    """None of it needs a program of its own; more only save padding in long studies."""
    engine = Engine(digits, mixed(16, 256, epochs=5), rows=64, seed=0, trainings=256)
    assert Binding.STATIC not in engine.plan.bindings.values()
    assert 1 <= len(engine.plan.programs) <= 4, str(engine.plan)


def plain_training(module, variables, data, p, trial):
    """A loop of flax and optax, without dropout; batch statistics included."""
    tx = optax.adam(p["learning_rate"])
    state = tx.init(variables["params"])
    x, y = jnp.asarray(data["train_x"]), jnp.asarray(data["train_y"])

    @jax.jit
    def step(variables, state, x, y):
        def loss(params):
            full = {**variables, "params": params}
            logits, new = module.apply(full, x, train=True, mutable=["batch_stats"])
            losses = optax.softmax_cross_entropy_with_integer_labels(logits, y)
            return jnp.mean(losses), new

        (value, new), grads = jax.value_and_grad(loss, has_aux=True)(
            variables["params"]
        )
        updates, state = tx.update(grads, state, variables["params"])
        params = optax.apply_updates(variables["params"], updates)
        return {**variables, **new, "params": params}, state, value

    losses, size = [], p["batch_size"]
    with jax.numpy_dtype_promotion("standard"):
        for epoch in range(p["epochs"]):
            key = jax.random.fold_in(jax.random.key(SEED), 2**31)
            order = jax.random.permutation(jax.random.fold_in(key, epoch), len(y))
            for start in range(0, len(y) - size + 1, size):
                rows = order[start : start + size]
                variables, state, value = step(variables, state, x[rows], y[rows])
                losses.append(float(value))
    return losses, variables


def test_members_of_a_mixed_population_are_plain_flax_networks(digits):
    space = mixed(4, 40, epochs=2)
    space = Space({**space.dimensions, "epochs": 2, "dropout": 0.0, "batch_size": 200})
    engine = Engine(digits, space, rows=4, seed=SEED, trainings=4)
    draws = np.random.default_rng(3).random((4, len(space.names))).astype(np.float32)
    draws[:, list(space.names).index("norm")] = (0.9, 0.1, 0.4, 0.6)
    draws[:, list(space.names).index("depth")] = (0.3, 0.6, 0.9, 0.9)
    proposal = fresh(draws, np.arange(4))
    engine.submit(proposal)
    found, members = {}, {}
    while engine.pending:
        finished = engine.collect()
        for row in np.flatnonzero(finished.outcome.trial != EMPTY):
            trial = int(finished.outcome.trial[row])
            found[trial] = {k: v[row] for k, v in finished.metrics.items()}
            members[trial] = engine.member(trial)
    norms = set()
    for trial, params in enumerate(space.params(np.asarray(proposal.x))):
        p = {**space.constants, **params}
        norms.add(p["norm"])
        key = jax.random.fold_in(jax.random.key(SEED), trial)
        init = jax.jit(lambda key, p=p: digits.init(Hyperparameters(p), key))
        start = init(jax.random.fold_in(key, 0)).variables
        module = plain(p, outputs=10)
        losses, variables = plain_training(module, start, digits.data(), p, trial)
        means = np.reshape(losses, (p["epochs"], -1)).mean(axis=1)
        got = found[trial]["train_loss"][: p["epochs"]]
        np.testing.assert_allclose(got, means, rtol=1e-3, err_msg=str(p))
        exported = digits.export(p, members[trial])
        shapes = jax.tree.map(jnp.shape, dict(variables))
        assert jax.tree.map(jnp.shape, exported.variables) == shapes
        x = jnp.asarray(digits.data()["validation_x"][:20])
        again = module.apply(exported.variables, x)
        alone, _ = digits.network(Hyperparameters(p)).apply(
            exported.variables, x, train=False, key=None
        )
        close(alone, again, rtol=1e-4, atol=1e-5)
    assert norms == set(nn.NORMS)
