"""The padded ResNet is the plain Flax network of its true size, and trains like it."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen

from evotune import datasets, nn
from evotune._contracts import fresh
from evotune.engine import Engine
from evotune.models import Info, ResNet, describe
from evotune.space import Bool, Categorical, Float, Int, Space
from evotune.tasks import Classification, Hyperparameters
from tests.engine.test_parity import collect_all
from tests.models.plain import PlainAttention, PlainDrop, PlainGate

IMAGE = Info(input_shape=(6, 5, 2), num_outputs=3)
SERIES = Info(input_shape=(9,), num_outputs=3)
STAGES, ROWS, STEPS = 2, 6, 50


@dataclasses.dataclass(frozen=True)
class Member:
    """The plain values of one network."""

    channels: int = 3
    kernel_size: int = 3
    depth: int = 1
    expansion: int = 2
    skip: str = "projection"
    pool: str = "average"
    drop_path: float = 0.0
    se: bool = False
    se_ratio: int = 2
    self_attention: bool = False
    heads: int = 1
    head_size: int = 2
    block: str = "basic"
    norm: str = "batch"


class PlainResNet(linen.Module):
    """Written with flax alone; parameter names as evotune exports them."""

    member: Member

    @linen.compact
    def __call__(self, x, train):
        net = self.member
        x = linen.relu(convolve(net, x, net.channels, net.kernel_size, "stem", train))
        for stage in range(STAGES):
            for index in range(net.depth):
                before = stage * net.depth + index
                x = PlainBlock(
                    net,
                    net.channels * 2**stage,
                    2 if stage > 0 and index == 0 else 1,
                    index == 0 and (stage > 0 or net.block == "bottleneck"),
                    net.drop_path * (before + 1) / (STAGES * net.depth),
                    name=f"stage_{stage}_block_{index}",
                )(x, train)
        if net.self_attention:
            x = PlainAttention(net.heads, net.head_size, name="attention")(x)
        places = tuple(range(1, x.ndim - 1))
        x = x.mean(places) if net.pool == "average" else x.max(places)
        return linen.Dense(3, name="output")(x)


class PlainBlock(linen.Module):
    net: Member
    width: int
    strides: int
    changes: bool
    drop: float

    @linen.compact
    def __call__(self, x, train):
        net, k = self.net, self.net.kernel_size
        outputs = self.width
        if net.block == "basic":
            y = convolve(net, x, self.width, k, "0", train, self.strides)
            y = convolve(net, linen.relu(y), self.width, k, "1", train)
        else:
            outputs = self.width * net.expansion
            y = convolve(net, x, self.width, 1, "0", train)
            y = convolve(net, linen.relu(y), self.width, k, "1", train, self.strides)
            y = convolve(net, linen.relu(y), outputs, 1, "2", train)
        if net.se:
            y = PlainGate(max(1, outputs // net.se_ratio), name="se")(y)
        if train:
            y = PlainDrop(self.drop, name="drop_path")(y)
        if self.changes and net.skip == "projection":
            x = convolve(net, x, outputs, 1, "skip", train, self.strides)
        elif self.changes:
            x = x[(slice(None), *[slice(None, None, self.strides)] * (x.ndim - 2))]
            missing = outputs - x.shape[-1]
            x = jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, missing)])
        return linen.relu(x + y)


def convolve(net, x, features, size, name, train, strides=1):
    axes = x.ndim - 2
    x = linen.Conv(
        features,
        (size,) * axes,
        (strides,) * axes,
        padding=[((size - 1) // 2, size // 2)] * axes,
        use_bias=net.norm == "none",
        name=f"conv_{name}",
    )(x)
    if net.norm == "layer":
        x = linen.LayerNorm(name=f"norm_{name}")(x)
    if net.norm == "batch":
        x = linen.BatchNorm(not train, momentum=0.9, name=f"norm_{name}")(x)
    return x


CAPACITY = {
    "channels": 4,
    "kernel_size": 4,
    "depth": 2,
    "expansion": 2,
    "heads": 2,
    "head_size": 3,
}
OPTIONS = {"skip": ("identity", "projection"), "pool": nn.POOLS}
TRACED = ("drop_path", "se", "se_ratio", "self_attention")
INSIDE = {"block": "bottleneck", "norm": "none"}
POPULATIONS = {
    "basic": (
        SERIES,
        [
            Member(depth=2, drop_path=0.4, skip="identity"),
            Member(channels=4, kernel_size=4),
        ],
    ),
    "bottleneck": (SERIES, [Member(**INSIDE, depth=2, expansion=1, drop_path=0.5)]),
    "layer": (
        SERIES,
        [
            Member(norm="layer", channels=6, depth=2, drop_path=0.4),
            Member(norm="layer", channels=8, skip="identity", pool="max"),
        ],
    ),
    "image": (
        IMAGE,
        [Member(kernel_size=2, se=True, self_attention=True)],
    ),
}
LEFT_OUT = dict.fromkeys(("basic", "layer"), ("se", "se_ratio", "self_attention"))
"""What no member of a population has, and its program neither."""
CAPACITIES = {
    "image": {"depth": 1, "kernel_size": 2},
    "layer": {"channels": 8, "kernel_size": 3},
}
"""Where a population has others: those that compile sooner, and more channels.

A layer norm of three channels, whose variance may be nothing but rounding, is too badly
conditioned to compare: there the losses of 50 steps were 2e-3 apart, with six channels
2e-6.
"""


def compiled(function):
    """Jitted, and compiled quickly."""
    return jax.jit(function, compiler_options={"xla_backend_optimization_level": 1})


def leaves_of(member):
    """What the engine gives a program for one member."""
    values = {name: jnp.int32(getattr(member, name)) for name in CAPACITY}
    for name, options in OPTIONS.items():
        values[name] = jnp.int32(options.index(getattr(member, name)))
    return values | {name: jnp.asarray(getattr(member, name)) for name in TRACED}


def padded(leaves, member, capacity=None):
    """What the model sees; what is static is as in ``member``."""
    values = {"block": member.block, "norm": member.norm, **leaves}
    for name, largest in {**CAPACITY, **(capacity or {})}.items():
        values[name] = nn.Size(leaves[name], largest)
    for name, options in OPTIONS.items():
        values[name] = nn.Choice(leaves[name], options)
    return Hyperparameters(values)


def plain(member):
    return Hyperparameters(dataclasses.asdict(member))


def trainer(apply, tx, y, key):
    """One step of training a network, whose gradients are returned as well."""

    def step(variables, state):
        def loss(params):
            out, new = apply({**variables, "params": params}, key)
            cross = optax.softmax_cross_entropy_with_integer_labels(out, y)
            return jnp.mean(cross), new

        params = variables["params"]
        (value, new), grads = jax.value_and_grad(loss, has_aux=True)(params)
        updates, state = tx.update(grads, state, params)
        params = optax.apply_updates(params, updates)
        return {**new, "params": params}, state, (value, grads)

    return step


def run(step, variables, state):
    seen = []
    for _ in range(STEPS):
        variables, state, found = step(variables, state)
        seen.append(jax.device_get(found))
    return jax.device_get(variables), [v for v, _ in seen], seen[0][1]


def close(got, expected, **tolerance):
    tolerance = {"rtol": 1e-5, "atol": 1e-6, **tolerance}
    jax.tree_util.tree_map_with_path(
        lambda path, a, b: np.testing.assert_allclose(
            a, b, **tolerance, err_msg=jax.tree_util.keystr(path)
        ),
        got,
        expected,
    )


def used(tree):
    return sum(np.count_nonzero(leaf) for leaf in jax.tree.leaves(tree))


@pytest.mark.parametrize("name", POPULATIONS)
def test_a_padded_population_trains_as_plain_flax_modules(name):
    info, members = POPULATIONS[name]
    model, tx = ResNet(stages=STAGES), optax.adamw(3e-3, eps=1e-4, weight_decay=0.1)
    x = jax.random.normal(jax.random.key(2), (ROWS, *info.input_shape))
    y, key = jnp.arange(ROWS) % 3, jax.random.key(7)
    leaves = jax.tree.map(lambda *v: jnp.stack(v), *map(leaves_of, members))
    for absent in LEFT_OUT.get(name, ()):
        del leaves[absent]

    def network(leaves):
        return model.network(padded(leaves, members[0], CAPACITIES.get(name)), info)

    def init(leaves):
        variables = network(leaves).init(jax.random.key(1))
        return variables, tx.init(variables["params"])

    def step(leaves, variables, state):
        def apply(variables, key):
            return network(leaves).apply(variables, x, train=True, key=key)

        return trainer(apply, tx, y, key)(variables, state)

    def evaluate(leaves, variables):
        return network(leaves).apply(variables, x, train=False, key=None)[0]

    with jax.numpy_dtype_promotion("standard"):  # optax is not strict
        start, state = compiled(jax.vmap(init))(leaves)
        vmapped = compiled(jax.vmap(step))
        trained, losses, grads = run(lambda v, s: vmapped(leaves, v, s), start, state)
        outputs = compiled(jax.vmap(evaluate))(leaves, trained)
    start = jax.device_get(start)
    for row, member in enumerate(members):
        hp, module = plain(member), PlainResNet(member)
        of_row = [jax.tree.map(lambda a, i=row: a[i], t) for t in (start, trained)]
        small, grown = (model.slice(v, hp, info) for v in of_row)
        inputs = x if info is IMAGE else x[..., None]

        def apply(variables, key, module=module, inputs=inputs):
            rngs = {"dropout": key}
            out, new = module.apply(
                variables, inputs, train=True, mutable=["batch_stats"], rngs=rngs
            )
            return out, {**variables, **new}

        with jax.numpy_dtype_promotion("standard"):
            shapes = jax.eval_shape(partial(module.init, train=False), key, inputs)
            alone, wanted, slopes = run(
                compiled(trainer(apply, tx, y, key)), small, tx.init(small["params"])
            )
            expected = module.apply(grown, inputs, train=False)
        assert jax.tree.map(np.shape, small) == jax.tree.map(np.shape, dict(shapes))
        close(small, compiled(model.network(hp, info).init)(jax.random.key(1)))
        got = [value[row] for value in losses]
        np.testing.assert_allclose(got[0], wanted[0], rtol=1e-5)
        first = jax.tree.map(lambda g, i=row: g[i], grads)
        cut = model.slice({**of_row[0], "params": first}, hp, info)["params"]
        close(cut, slopes, rtol=1e-3, atol=2e-5)
        np.testing.assert_allclose(got, wanted, rtol=1e-3)
        close(outputs[row], expected, rtol=1e-4, atol=1e-5)
        close(grown, alone, rtol=5e-2, atol=5e-3)
        # What lies beyond the true size is zero, has no gradient and stays zero.
        for tree in (of_row[0]["params"], first, of_row[1]["params"]):
            full = {**of_row[0], "params": tree}
            assert used(tree) == used(model.slice(full, hp, info)["params"])


def test_multiply_adds_are_those_of_the_matrix_products():
    member = Member(block="bottleneck", depth=2, se=True, self_attention=True)
    sides = {"conv_stem": 30, "stage_0": 30, "stage_1": 9, "output": 1}
    found = describe(ResNet(stages=STAGES), plain(member), IMAGE)
    expected = 0
    for layer in found.layers:
        shape = layer.weights.get("kernel", (0,))
        places = sides.get(layer.name.partition("_block")[0], 1)
        if layer.name == "stage_1_block_0/conv_0":
            places = 30  # the sides are halved by the convolution after it
        places = 1 if "/se/" in layer.name else places
        places = 9 if layer.name.startswith("attention") else places
        expected += places * int(np.prod(shape))
    inner = 1 * 2
    expected += 2 * 9 * 9 * inner
    assert ResNet(stages=STAGES).multiply_adds(plain(member), IMAGE) == expected


def test_defaults_add_nothing_to_the_network():
    """No gates, attention or draws: the layers of the paper and no more."""
    network = ResNet(stages=1).network(Hyperparameters({}), SERIES)
    variables = jax.eval_shape(network.init, jax.random.key(0))
    names = {"conv_stem", "norm_stem", "stage_0_block_0", "output"}
    assert set(variables["params"]) == names
    block = {"conv_0", "norm_0", "conv_1", "norm_1"}
    assert set(variables["params"]["stage_0_block_0"]) == block
    x = jnp.ones((2, 9))
    program = jax.make_jaxpr(
        lambda v, key: network.apply(v, x, train=True, key=key)[0]
    )(variables, jax.random.key(0))
    for operation in ("random", "threefry", "logistic", "exp"):
        assert operation not in str(program)


def test_values_that_no_network_can_have_are_found():
    problems = ResNet().check(
        {
            "channels": (0, 8),
            "se_ratio": (0,),
            "skip": ("projections",),
            "block": ("basic", "wide"),
            "norm": ("batch", "instance"),
            "drop_path": (0.0, 1.0),
            "se": ("yes",),
            "stages": (9,),
        }
    )
    words = ("channels", "se_ratio", "'projection'", "wide", "instance")
    words += ("drop_path", "se must be a bool", "stages")
    assert len(problems) == len(words)
    for problem, word in zip(problems, words, strict=True):
        assert word in problem


def test_a_population_of_resnets_takes_one_program_and_exports_its_members():
    model = ResNet(stages=2, shape=(16, 4))
    task = Classification(datasets.digits(), model=model)
    space = Space(
        channels=Int(2, 4),
        skip=Categorical(["projection", "identity"]),
        drop_path=Float(0.0, 0.3),
        se=Bool(),
        self_attention=Bool(),
        learning_rate=Float(1e-3, 1e-2, log=True),
        heads=1,
        head_size=2,
        batch_size=400,
        epochs=1,
    )
    x = np.random.default_rng(0).random((4, len(space.names))).astype(np.float32)
    engine = Engine(task, space, rows=4, seed=3, trainings=4)
    assert len(engine.plan.programs) == 1
    engine.submit(fresh(x, np.arange(4)))
    found = collect_all(engine)
    for row, params in enumerate(space.params(x)):
        fitted = task.export({**space.constants, **params}, found[row][3])
        layers = fitted.variables["params"]
        assert layers["conv_stem"]["kernel"].shape == (3, 4, params["channels"])
        assert ("se" in layers["stage_0_block_0"]) == params["se"]
        assert ("attention" in layers) == params["self_attention"]
        predicted = np.argmax(fitted.predict(task.splits.validation.x), axis=-1)
        accuracy = np.mean(predicted == task.splits.validation.y)
        assert accuracy == pytest.approx(found[row][0], abs=6e-3)
