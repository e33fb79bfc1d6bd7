"""The padded CNN is the plain Flax network of its true size, and trains like it."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen

from evotune import datasets, nn
from evotune._contracts import fresh
from evotune.engine import Engine
from evotune.models import CNN, Info
from evotune.space import Categorical, Float, Int, Space
from evotune.tasks import Classification, Hyperparameters
from tests.engine.test_parity import collect_all
from tests.models.plain import PlainAttention, PlainDrop, PlainGate

IMAGE = Info(input_shape=(8, 6, 2), num_outputs=3)
SERIES = Info(input_shape=(16,), num_outputs=3)


class PlainCNN(linen.Module):
    """Written with flax alone; parameter names as evotune exports them."""

    shape: tuple
    channels: int
    kernel_size: int
    depth: int
    width: int
    norm: str
    pool: str
    residual: bool
    se: bool = False
    self_attention: bool = False
    drop_path: float = 0.0

    @linen.compact
    def __call__(self, x, train):
        x = x.reshape(-1, *self.shape)
        axes = len(self.shape) - 1
        for stage in range(2):
            for layer in range(self.depth):
                before = x
                x = linen.Conv(
                    self.channels * 2**stage,
                    (self.kernel_size,) * axes,
                    use_bias=self.norm == "none",
                    name=f"conv_{stage}_{layer}",
                )(x)
                if self.norm == "batch":
                    name = f"norm_{stage}_{layer}"
                    x = linen.BatchNorm(not train, momentum=0.9, name=name)(x)
                if self.norm == "layer":
                    x = linen.LayerNorm(name=f"norm_{stage}_{layer}")(x)
                if self.norm == "rms":
                    x = linen.RMSNorm(name=f"norm_{stage}_{layer}")(x)
                x = linen.gelu(x)
                if self.se:
                    x = PlainGate(max(1, x.shape[-1] // 4), name=f"se_{stage}_{layer}")(
                        x
                    )
                if self.residual and layer:
                    if train and self.drop_path:
                        rate = self.drop_path * (stage * self.depth + layer + 1)
                        rate /= 2 * self.depth
                        x = PlainDrop(rate, name=f"drop_path_{stage}_{layer}")(x)
                    x = x + before
            pool = linen.max_pool if self.pool == "max" else linen.avg_pool
            x = pool(x, (2,) * axes, strides=(2,) * axes)
        if self.self_attention:
            x = PlainAttention(2, 16, name="attention")(x)
        x = jnp.moveaxis(x, -1, 1).reshape(x.shape[0], -1)
        x = linen.gelu(linen.Dense(self.width, name="hidden")(x))
        return linen.Dense(3, name="output")(x)


def padded_hp(true, norm, capacity=(5, 5, 3, 12)):
    names = ("channels", "kernel_size", "depth", "width")
    sizes = {
        name: nn.Size(jnp.int32(true[name]), largest)
        for name, largest in zip(names, capacity, strict=True)
    }
    options = ("relu", "gelu")
    return Hyperparameters(
        {
            **sizes,
            "norm": norm,
            "residual": jnp.asarray(true["residual"]),
            "pool": nn.Choice(jnp.int32(nn.POOLS.index(true["pool"])), nn.POOLS),
            "activation": nn.Choice(jnp.int32(1), options),
            **{name: jnp.asarray(true[name]) for name in PLACES if name in true},
        }
    )


def sizes(channels, kernel_size, depth, width):
    names = ("channels", "kernel_size", "depth", "width")
    return dict(zip(names, (channels, kernel_size, depth, width), strict=True))


PLACES = ("se", "self_attention", "drop_path")
TRUE = [
    {**sizes(3, 3, 1, 7), "pool": "max", "residual": True},
    {**sizes(5, 1, 3, 12), "pool": "average", "residual": True, "se": True},
    {**sizes(2, 4, 2, 1), "pool": "max", "residual": False, "se": False},
]


@pytest.mark.parametrize(
    ("info", "norm", "true"),
    [
        (IMAGE, "none", TRUE[0]),
        (IMAGE, "batch", {**TRUE[1], "self_attention": False}),
        (IMAGE, "batch", {**TRUE[2], "drop_path": 0.4}),
        (SERIES, "layer", {**TRUE[1], "self_attention": True, "drop_path": 0.4}),
        (SERIES, "rms", TRUE[0]),
    ],
)
def test_a_padded_network_trains_as_the_plain_flax_module(info, norm, true):
    model = CNN(activation="gelu")
    network = model.network(padded_hp(true, norm), info)
    plain_hp = Hyperparameters({**true, "norm": norm})
    variables = jax.jit(network.init)(jax.random.key(1))
    small = model.slice(variables, plain_hp, info)
    shape = info.input_shape if info is IMAGE else (16, 1)
    plain = PlainCNN(shape=shape, norm=norm, **true)
    x = jax.random.normal(jax.random.key(2), (10, *info.input_shape))
    y = jnp.arange(10) % 3
    tx = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(1e-2, eps=1e-4))

    def run(apply, variables):
        """Steps one at a time: in a scan, XLA's convolution hardly moves.

        Fifty of series, but five of images: fifty hold, too, but XLA's convolution of
        images may take seconds for each where cores are busy.
        """

        @jax.jit
        def step(variables, state):
            def loss(params):
                out, new = apply({**variables, "params": params})
                cross = optax.softmax_cross_entropy_with_integer_labels(out, y)
                return jnp.mean(cross), new

            params = variables["params"]
            (value, new), grads = jax.value_and_grad(loss, has_aux=True)(params)
            updates, state = tx.update(grads, state, params)
            params = optax.apply_updates(params, updates)
            return {**new, "params": params}, state, value

        state, losses = tx.init(variables["params"]), []
        for _ in range(5 if info is IMAGE else 50):
            variables, state, value = step(variables, state)
            losses.append(float(value))
        return variables, losses

    def apply_padded(v):
        return network.apply(v, x, train=True, key=jax.random.key(0))

    def apply_plain(v):
        rngs = {"dropout": jax.random.key(0)}
        out, new = plain.apply(v, x, train=True, mutable=["batch_stats"], rngs=rngs)
        return out, {**v, **new}

    with jax.numpy_dtype_promotion("standard"):  # optax is not strict
        trained, losses = run(apply_padded, variables)
        expected, plain_losses = run(apply_plain, small)
    np.testing.assert_allclose(losses[0], plain_losses[0], rtol=1e-5)
    np.testing.assert_allclose(losses, plain_losses, rtol=1e-3)
    cut = model.slice(trained, plain_hp, info)
    assert jax.tree.structure(cut) == jax.tree.structure(expected)
    for got, wanted in zip(
        jax.tree.leaves(cut), jax.tree.leaves(expected), strict=True
    ):
        np.testing.assert_allclose(got, wanted, rtol=2e-2, atol=2e-3)
    out, _ = network.apply(trained, x, train=False, key=None)
    with jax.numpy_dtype_promotion("standard"):  # Flax is not strict
        wanted = plain.apply(cut, x, train=False)
    np.testing.assert_allclose(out, wanted, rtol=1e-4, atol=1e-5)
    # What lies beyond the true size is still zero.
    inside = sum(jnp.sum(leaf != 0) for leaf in jax.tree.leaves(cut["params"]))
    everywhere = sum(jnp.sum(leaf != 0) for leaf in jax.tree.leaves(trained["params"]))
    assert int(inside) == int(everywhere)


@pytest.mark.parametrize("norm", ["none", "batch"])
def test_initial_values_do_not_depend_on_the_capacity(norm):
    model, key, true = CNN(), jax.random.key(8), TRUE[0]
    plain_hp = Hyperparameters({**true, "norm": norm})
    plain = model.network(plain_hp, IMAGE).init(key)
    module = model.network(plain_hp, IMAGE).module
    expected = module.init(key, jnp.zeros((1, *IMAGE.input_shape)))
    assert jax.tree.map(jnp.shape, plain) == jax.tree.map(jnp.shape, expected)
    for capacity in ((3, 3, 1, 7), (4, 5, 2, 7), (9, 6, 3, 20)):
        network = model.network(padded_hp(true, norm, capacity), IMAGE)
        cut = model.slice(network.init(key), plain_hp, IMAGE)
        jax.tree.map(np.testing.assert_array_equal, cut, plain)
    half = CNN(init_scale=0.5).network(plain_hp, IMAGE).init(key)["params"]
    for name, layer in plain["params"].items():
        if "kernel" in layer:
            np.testing.assert_array_equal(half[name]["kernel"], layer["kernel"] / 2)


def test_multiply_adds_are_those_of_the_matrix_products():
    model = CNN(channels=3, kernel_size=3, depth=2, width=7)
    variables = model.network(Hyperparameters({}), IMAGE).init(jax.random.key(0))
    places = {"conv_0": 48, "conv_1": 12, "hidden": 1, "output": 1}
    expected = sum(
        layer["kernel"].size * places[name[:6]]
        for name, layer in variables["params"].items()
    )
    assert model.multiply_adds({}, IMAGE) == expected
    places, inner = 2 * 1, 2 * 16
    more = 2 * (2 * 3 * 1 + 2 * 6 * 1) + places * (4 * 6 * inner + 2 * places * inner)
    found = model.multiply_adds({"se": True, "self_attention": True}, IMAGE)
    assert found == expected + more


@pytest.mark.parametrize(
    ("given", "shape", "expected"),
    [
        ((8, 6, 2), None, (8, 6, 2)),
        ((40, 1), None, (40, 1)),
        ((8, 6), None, (8, 6)),
        ((40,), None, (40, 1)),
        ((64,), (8, 8, 1), (8, 8, 1)),
        ((20, 3), (20, 3), (20, 3)),
    ],
)
def test_examples_are_read_as_images_or_series(given, shape, expected):
    model = CNN(shape=shape, stages=3)
    network = model.network(Hyperparameters({}), Info(input_shape=given, num_outputs=2))
    assert network.module.shape == expected
    x = jnp.ones((4, *given))
    out, _ = network.apply(network.init(jax.random.key(0)), x, train=False, key=None)
    assert out.shape == (4, 2)


def test_a_shape_that_does_not_fit_is_an_error():
    with pytest.raises(ValueError, match=r"\(8, 8, 1\).*\(8, 6, 2\).*CNN\(shape="):
        CNN(shape=(8, 8, 1)).network(Hyperparameters({}), IMAGE)


def test_values_that_no_network_can_have_are_found():
    problems = CNN().check(
        {
            "channels": (0, 8),
            "kernel_size": (3, 5),
            "depth": (True,),
            "stages": (9,),
            "activation": ("relu", "rellu"),
            "norm": ("instance",),
            "pool": ("mean",),
            "residual": (1,),
            "se_ratio": (0, 4),
            "init_scale": (0.0, 2.0),
            "dropout": (0.0, 1.0),
            "drop_path": (0.0, 1.0),
        }
    )
    assert len(problems) == 11
    for problem, words in zip(
        problems,
        (
            *("channels", "depth", "se_ratio", "'relu'", "norm", "pool", "dropout"),
            *("drop_path", "residual", "init_scale", "stages"),
        ),
        strict=True,
    ):
        assert words in problem


def test_a_population_of_cnns_is_what_its_members_are_alone():
    task = Classification(datasets.digits(), model=CNN(shape=(8, 8, 1)))
    space = Space(
        channels=Int(2, 4),
        kernel_size=Categorical([1, 3]),
        width=Int(4, 8),
        norm="batch",
        dropout=Float(0.0, 0.2),
        learning_rate=Float(1e-3, 1e-2, log=True),
        batch_size=200,
        epochs=1,
    )
    x = np.random.default_rng(0).random((4, len(space.names))).astype(np.float32)
    engine = Engine(task, space, rows=4, seed=3, trainings=4)
    engine.submit(fresh(x, np.arange(4)))
    found = collect_all(engine)
    alone = Engine(task, space, rows=1, seed=3, trainings=1)
    alone.submit(fresh(x[2:3], np.asarray([2])))
    assert collect_all(alone)[2][0] == pytest.approx(found[2][0], abs=6e-3)
    for row, params in enumerate(space.params(x)):
        fitted = task.export({**space.constants, **params}, found[row][3])
        kernel = fitted.variables["params"]["conv_0_0"]["kernel"]
        size = params["kernel_size"]
        assert kernel.shape == (size, size, 1, params["channels"])
        predicted = np.argmax(fitted.predict(task.splits.validation.x), axis=-1)
        accuracy = np.mean(predicted == task.splits.validation.y)
        assert accuracy == pytest.approx(found[row][0], abs=6e-3)
