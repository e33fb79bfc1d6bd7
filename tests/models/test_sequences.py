"""Padded Transformers and recurrent networks are flax's of the true size."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen

from evotune import datasets, nn
from evotune._contracts import Binding
from evotune._errors import HyperparameterError
from evotune.engine import Engine
from evotune.models import RNN, Info, Transformer
from evotune.models._sequences import STEP_NORMS, as_series
from evotune.space import Bool, Categorical, Space
from evotune.tasks import Classification, Hyperparameters
from tests.models.plain import PlainDrop

INFO = Info(input_shape=(6, 2), num_outputs=3)
ROWS = 8


PLAIN_NORMS = {"layer": linen.LayerNorm, "rms": linen.RMSNorm}


def plain_norm(kind, name):
    return (lambda x: x) if kind == "none" else PLAIN_NORMS[kind](name=name)


class PlainTransformer(linen.Module):
    """Written with flax alone; parameter names as evotune exports them."""

    width: int
    heads: int
    head_size: int
    mlp_ratio: int
    depth: int
    norm_position: str
    position: str
    pooling: str
    norm: str
    residual: bool
    drop_path: float

    @linen.compact
    def __call__(self, x):
        steps = x.shape[1]
        x = linen.Dense(self.width, name="embed")(x)
        if self.position == "learned":
            normal = linen.initializers.normal()
            x += self.param("positions", normal, (steps, self.width))[None]
        if self.position == "sinusoidal":
            unit = np.arange(self.width)[None]
            angle = np.arange(steps)[:, None] / 1e4 ** (2 * (unit // 2) / self.width)
            table = np.where(unit % 2 == 0, np.sin(angle), np.cos(angle))
            x += jnp.asarray(table, jnp.float32)[None]
        if self.pooling == "class":
            token = self.param("class", linen.initializers.normal(), (1, self.width))
            token = jnp.broadcast_to(token[None], (len(x), 1, self.width))
            x = jnp.concatenate([x, token], axis=1)
        for index in range(self.depth):
            x = PlainBlock(
                self.width,
                self.heads,
                self.head_size,
                self.mlp_ratio,
                self.norm_position,
                self.norm,
                self.residual,
                self.drop_path * (index + 1) / self.depth,
                name=f"block_{index}",
            )(x)
        x = x[:, -1] if self.pooling == "class" else x.mean(axis=1)
        if self.norm_position == "pre":
            x = plain_norm(self.norm, "norm")(x)
        return linen.Dense(3, name="output")(x)


class PlainBlock(linen.Module):
    width: int
    heads: int
    head_size: int
    mlp_ratio: int
    norm_position: str
    norm: str
    residual: bool
    drop: float

    @linen.compact
    def __call__(self, x):
        pre = self.norm_position == "pre"
        attention = linen.MultiHeadDotProductAttention(
            self.heads, qkv_features=self.heads * self.head_size, name="attention"
        )
        for index in range(2):
            norm = plain_norm(self.norm, f"norm_{index}")
            y = norm(x) if pre else x
            if index == 0:
                y = attention(y)
            else:
                y = linen.Dense(self.width * self.mlp_ratio, name="up")(y)
                y = linen.Dense(self.width, name="down")(linen.gelu(y))
            if self.residual:
                if self.drop:
                    y = PlainDrop(self.drop, name=f"drop_path_{index}")(y)
                y = x + y
            x = y if pre else norm(y)
        return x


class PlainRNN(linen.Module):
    width: int
    depth: int
    cell: str
    pooling: str
    norm: str = "none"
    residual: bool = False

    @linen.compact
    def __call__(self, x):
        make = linen.GRUCell if self.cell == "gru" else linen.LSTMCell
        for index in range(self.depth):
            y = linen.RNN(make(self.width, parent=None), name=f"layer_{index}")(x)
            y = plain_norm(self.norm, f"norm_{index}")(y)
            x = x + y if self.residual and index else y
        x = x[:, -1] if self.pooling == "last" else x.mean(axis=1)
        return linen.Dense(3, name="output")(x)


def transformer(**changes):
    sizes = {"width": 5, "heads": 2, "head_size": 3, "mlp_ratio": 2, "depth": 1}
    names = {"norm_position": "pre", "position": "learned", "pooling": "mean"}
    rest = {"norm": "layer", "residual": True, "drop_path": 0.0}
    return {**sizes, **names, **rest, **changes}


def rnn(**changes):
    sizes = {"width": 5, "depth": 2, "cell": "gru", "pooling": "last"}
    return {**sizes, "norm": "layer", "residual": True, **changes}


POST = {"norm_position": "post", "position": "sinusoidal"}
POPULATIONS = {
    "transformer": (
        Transformer(),
        PlainTransformer,
        [
            transformer(norm="rms"),
            transformer(**POST, width=8, depth=2, drop_path=0.4),
            transformer(norm="none", residual=False, position="none", drop_path=0.4),
        ],
    ),
    "class": (
        Transformer(),
        PlainTransformer,
        [transformer(**POST, norm="rms", pooling="class")],
    ),
    "gru": (RNN(), PlainRNN, [rnn()]),
    "lstm": (
        RNN(),
        PlainRNN,
        [rnn(cell="lstm", pooling="mean", norm="rms", residual=False)],
    ),
}
"""Members of one program each, which differ in all that is not static."""

CAPACITY = {"width": 8, "heads": 3, "head_size": 4, "mlp_ratio": 3, "depth": 2}
OPTIONS = {
    "norm_position": ("post", "pre"),
    "position": ("learned", "sinusoidal", "none"),
    "pooling": ("last", "mean"),
    "norm": STEP_NORMS,
}


def is_static(name, true):
    if true["pooling"] == "class":  # a program that compiles sooner
        return name in ("pooling", "depth", "norm_position")
    return name == "cell" or (name == "pooling" and "heads" in true)


def leaves_of(true):
    """What the engine gives a program for one member."""
    return {
        name: jnp.asarray(OPTIONS[name].index(value) if name in OPTIONS else value)
        for name, value in true.items()
        if not is_static(name, true)
    }


def padded(leaves, true):
    """What the model sees; what is static is as in ``true``."""
    values = {name: value for name, value in true.items() if is_static(name, true)}
    for name, value in leaves.items():
        values[name] = value
        if name in CAPACITY:
            values[name] = nn.Size(value, CAPACITY[name])
        elif name in OPTIONS:
            values[name] = nn.Choice(value, OPTIONS[name])
    return Hyperparameters(values)


def initial(network, key):
    """Initial variables as numpy arrays, which are cut without compiling."""
    return jax.device_get(jax.jit(network.init)(key))


def used(params):
    return sum(np.count_nonzero(p) for p in jax.tree.leaves(params))


def close(got, expected, **tolerance):
    tolerance = {"rtol": 1e-5, "atol": 1e-6, **tolerance}
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, **tolerance), got, expected
    )


@pytest.mark.parametrize("name", POPULATIONS)
def test_training_a_padded_population_is_training_plain_flax(name):
    model, plain, members = POPULATIONS[name]
    # Adam turns a gradient that is nothing but rounding, as that of a key's bias, into
    # a whole step unless eps is above it.
    optimizer = optax.adamw(0.001, eps=1e-4, weight_decay=0.1)
    x = jax.random.normal(jax.random.key(2), (ROWS, *INFO.input_shape))
    y = jax.random.randint(jax.random.key(4), (ROWS,), 0, 3)
    leaves = jax.tree.map(lambda *v: jnp.stack(v), *map(leaves_of, members))

    def network(leaves):
        return model.network(padded(leaves, members[0]), INFO)

    def train(apply, params):
        def step(carry, _):
            params, state = carry

            def loss(params):
                logits = apply(params)
                losses = optax.softmax_cross_entropy_with_integer_labels(logits, y)
                penalty = sum(jnp.sum(w**2) for w in jax.tree.leaves(params))
                return jnp.mean(losses) + 1e-3 * penalty, logits

            (value, logits), grads = jax.value_and_grad(loss, has_aux=True)(params)
            updates, state = optimizer.update(grads, state, params)
            return (optax.apply_updates(params, updates), state), (value, logits, grads)

        (params, _), seen = jax.lax.scan(
            step, (params, optimizer.init(params)), length=50
        )
        return params, seen

    def member(leaves):
        start = network(leaves).init(jax.random.key(1))["params"]

        def apply(params):
            key = jax.random.key(0)
            return network(leaves).apply({"params": params}, x, train=True, key=key)[0]

        return start, train(apply, start)

    with jax.numpy_dtype_promotion("standard"):  # optax is not strict
        population = jax.device_get(jax.jit(jax.vmap(member))(leaves))
    for row, true in enumerate(members):
        hp, module = Hyperparameters(true), plain(**true)
        start, (grown, (losses, logits, grads)) = jax.tree.map(
            lambda leaf, row=row: leaf[row], population
        )
        small = model.slice({"params": start}, hp, INFO)
        rngs = {"params": jax.random.key(0), "dropout": jax.random.key(0)}
        expected = jax.eval_shape(module.init, rngs, x)
        assert jax.tree.map(np.shape, small) == jax.tree.map(np.shape, dict(expected))
        alone = initial(model.network(hp, INFO), jax.random.key(1))
        close(small, alone, atol=1e-6)

        def through_flax(params, module=module):
            rngs = {"dropout": jax.random.key(0)}
            return module.apply({"params": params}, x, rngs=rngs)

        with jax.numpy_dtype_promotion("standard"):
            _, (expected_losses, wanted, slopes) = jax.device_get(
                jax.jit(lambda p, f=through_flax: train(f, p))(small["params"])
            )
        close(losses[0], expected_losses[0])
        close(logits[0], wanted[0], atol=1e-5)
        close(losses, expected_losses, rtol=1e-3)
        first = jax.tree.map(lambda g: g[0], grads)
        close(
            model.slice({"params": first}, hp, INFO)["params"],
            jax.tree.map(lambda g: g[0], slopes),
            rtol=1e-4,
            atol=1e-5,
        )
        # Nothing outside of the true sizes has moved.
        for tree in (start, grown, first):
            assert used(tree) == used(model.slice({"params": tree}, hp, INFO))


def test_one_program_holds_members_of_different_sizes():
    model = Transformer(width=6, head_size=3)

    def outputs(heads, depth, rate, x):
        values = {
            "heads": nn.Size(heads, 3),
            "depth": nn.Size(depth, 2),
            "dropout": rate,
            "attention_dropout": rate,
        }
        network = model.network(Hyperparameters(values), INFO)
        variables = network.init(jax.random.key(0))
        return network.apply(variables, x, train=True, key=jax.random.key(1))[0]

    x = jax.random.normal(jax.random.key(2), (ROWS, *INFO.input_shape))
    sizes = (jnp.asarray([1, 3]), jnp.asarray([2, 1]), jnp.asarray([0.0, 0.4]))
    got = jax.jit(jax.vmap(outputs, in_axes=(0, 0, 0, None)))(*sizes, x)
    for row, (heads, depth, rate) in enumerate([(1, 2, 0.0), (3, 1, 0.4)]):
        hp = {
            "heads": heads,
            "depth": depth,
            "dropout": rate,
            "attention_dropout": rate,
        }
        network = model.network(Hyperparameters(hp), INFO)

        def alone(x, network=network):
            variables = network.init(jax.random.key(0))
            return network.apply(variables, x, train=True, key=jax.random.key(1))[0]

        close(got[row], jax.jit(alone)(x), rtol=1e-4, atol=1e-5)


def test_norms_and_residuals_of_a_search_share_one_program():
    task = Classification(datasets.digits(), model=Transformer(patch=16, width=4))
    norms = {"norm": Categorical(list(STEP_NORMS)), "residual": Bool()}
    space = Space(norms | {"depth": 1, "heads": 1, "head_size": 2, "epochs": 1})
    plan = Engine(task, space, rows=4, seed=3, trainings=4).plan
    assert len(plan.programs) == 1
    assert plan.bindings["norm"] is Binding.MASKED
    assert plan.bindings["residual"] is Binding.TRACED
    with pytest.raises(HyperparameterError, match="must not be 'batch'"):
        Engine(task, Space(norm="batch", residual=Bool()), rows=4, seed=3, trainings=4)


def test_orthogonal_matrices_do_not_depend_on_padding():
    key = jax.random.key(3)
    plain = nn.orthogonal(key, 5, jnp.float32)
    close(plain @ plain.T, np.eye(5), atol=1e-6)
    masked = nn.orthogonal(key, nn.Size(jnp.int32(5), 9), jnp.float32)
    close(masked[:5, :5], plain, atol=1e-6)
    assert used(masked) == 25


@pytest.mark.parametrize("family", [Transformer, RNN])
def test_init_scale_is_a_factor_on_the_kernels(family):
    def params(scale):
        network = family(width=4, depth=1).network({"init_scale": scale}, INFO)
        flat = jax.tree_util.tree_leaves_with_path(
            network.init(jax.random.key(0))["params"]
        )
        return {jax.tree_util.keystr(path): leaf for path, leaf in flat}

    one, half = params(1.0), params(jnp.float32(0.5))
    for name, leaf in one.items():
        factor = 0.5 if "'kernel'" in name else 1.0
        np.testing.assert_array_equal(half[name], factor * leaf, err_msg=name)


def test_images_become_patches_in_reading_order():
    image = jnp.arange(24.0).reshape(1, 4, 6)
    patches = as_series(image.reshape(1, 24), image_shape=(4, 6), patch=2)
    assert patches.shape == (1, 6, 4)
    assert patches[0, 1].tolist() == [2.0, 3.0, 8.0, 9.0]
    np.testing.assert_array_equal(as_series(image[..., None], patch=2), patches)
    assert as_series(jnp.ones((3, 8)), patch=2).shape == (3, 4, 2)
    assert as_series(jnp.ones((3, 8, 5)), patch=4).shape == (3, 2, 20)
    with pytest.raises(HyperparameterError, match="patch must divide each side"):
        as_series(jnp.ones((3, 8)), patch=3)
    with pytest.raises(HyperparameterError, match="image_shape must have as many"):
        as_series(jnp.ones((3, 8)), image_shape=(3, 3))


def test_multiply_adds_are_the_products_of_one_example():
    sizes = transformer(depth=2)
    inner, hidden = 2 * 3, 2 * 5
    block = 6 * (4 * 5 * inner + 2 * 5 * hidden) + 2 * 6 * 6 * inner
    expected = 6 * 2 * 5 + 2 * block + 5 * 3
    assert Transformer().multiply_adds(sizes, INFO) == expected
    assert RNN().multiply_adds(rnn(depth=2), INFO) == (
        6 * (3 * 5 * (2 + 5) + 3 * 5 * (5 + 5)) + 5 * 3
    )


@pytest.mark.parametrize(
    ("model", "values", "message"),
    [
        (Transformer(), {"heads": (0, 4)}, "heads must be an integer of at least 1"),
        (Transformer(), {"position": ("learnt",)}, "Did you mean 'learned'"),
        (
            Transformer(),
            {"attention_dropout": (0.0, 1.0)},
            "attention_dropout must lie",
        ),
        (Transformer(), {"drop_path": (0.0, 1.0)}, "drop_path must lie"),
        (Transformer(), {"init_scale": (0.0, 1.0)}, "init_scale must be above 0"),
        (RNN(), {"init_scale": (0.0, 1.0)}, "init_scale must be above 0"),
        (RNN(), {"cell": ("gru", "elman")}, "cell must be one of"),
        (RNN(), {"pooling": ("max",)}, "pooling must be one of"),
        (RNN(), {"norm": ("none", "batch")}, "must not be 'batch'.*padded steps"),
        (Transformer(), {"norm": ("batch",)}, "all steps of all examples.*'layer'"),
        (Transformer(), {"norm": ("layr",)}, "Did you mean 'layer'"),
        (Transformer(), {"residual": ("on", False)}, "residual must be a bool"),
    ],
)
def test_bad_values_say_what_to_do(model, values, message):
    problems = model.check(values)
    assert len(problems) == 1
    with pytest.raises(ValueError, match=message):
        raise ValueError(problems[0])
