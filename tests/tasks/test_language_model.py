"""Language models train on windows of a text as plain Flax and Optax loops do."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen, nnx

from evotune import datasets, metrics, models
from evotune._contracts import fresh
from evotune._errors import DataError, HyperparameterError
from evotune.engine import Engine
from evotune.space import Float, Int, Space
from evotune.tasks import Hyperparameters, LanguageModel
from tests.engine.reference import ORDER
from tests.engine.test_parity import SEED, collect_all, initial

TEXT = "How much wood would a woodchuck chuck, if a woodchuck could chuck wood? " * 6
T, SIZE, EPOCHS = 8, 16, 25  # 50 steps


class PlainRNN(linen.Module):
    """Parameter names as evotune exports them."""

    width: int
    symbols: int

    @linen.compact
    def __call__(self, x):
        x = linen.Embed(self.symbols, self.width, name="embed")(x)
        x = linen.RNN(linen.GRUCell(self.width, parent=None), name="layer_0")(x)
        return linen.Dense(self.symbols, name="output")(x)


class PlainTransformer(linen.Module):
    """One pre-norm block."""

    width: int
    symbols: int

    @linen.compact
    def __call__(self, x):
        mask = linen.make_causal_mask(x)
        x = linen.Embed(self.symbols, self.width, name="embed")(x)
        normal = linen.initializers.normal()
        x += self.param("positions", normal, (T, self.width))[None]
        return linen.Dense(self.symbols, name="output")(
            linen.LayerNorm(name="norm")(
                PlainBlock(self.width, name="block_0")(x, mask)
            )
        )


class PlainBlock(linen.Module):
    width: int

    @linen.compact
    def __call__(self, x, mask):
        attend = linen.MultiHeadDotProductAttention(2, qkv_features=6, name="attention")
        x = x + attend(linen.LayerNorm(name="norm_0")(x), mask=mask)
        y = linen.LayerNorm(name="norm_1")(x)
        y = linen.gelu(linen.Dense(2 * self.width, name="up")(y))
        return x + linen.Dense(self.width, name="down")(y)


MODELS = {
    "rnn": (models.RNN(), PlainRNN),
    "transformer": (
        models.Transformer(heads=2, head_size=3, depth=1),
        PlainTransformer,
    ),
}


@pytest.fixture(scope="module")
def corpus():
    return datasets.characters(TEXT, length=T)


def plain_loop(module, params, data, p):
    """Losses of every step, (loss, accuracy) of every epoch: one step at a time."""
    tx = optax.adam(p["learning_rate"])
    opt_state = tx.init(params)
    symbols = module.symbols

    @jax.jit
    def step(params, opt_state, x, y):
        def loss_of(params):
            labels = optax.smooth_labels(
                jax.nn.one_hot(y, symbols), p["label_smoothing"]
            )
            logits = module.apply({"params": params}, x)
            return jnp.mean(optax.softmax_cross_entropy(logits, labels))

        loss, grads = jax.value_and_grad(loss_of)(params)
        updates, opt_state = tx.update(grads, opt_state)
        return optax.apply_updates(params, updates), opt_state, loss

    @jax.jit
    def evaluate(params):
        logits = module.apply({"params": params}, data["validation_x"])
        y = data["validation_y"]
        loss = optax.softmax_cross_entropy_with_integer_labels(logits, y)
        return jnp.mean(loss), jnp.mean(jnp.argmax(logits, -1) == y)

    losses, scores = [], []
    with jax.numpy_dtype_promotion("standard"):  # flax and optax are not strict
        for epoch in range(EPOCHS):
            key = jax.random.fold_in(jax.random.key(SEED), ORDER)
            key = jax.random.fold_in(key, epoch)
            order = np.asarray(jax.random.permutation(key, len(data["train_x"])))
            for start in range(0, len(order) - SIZE + 1, SIZE):
                rows = order[start : start + SIZE]
                x, y = data["train_x"][rows], data["train_y"][rows]
                params, opt_state, loss = step(params, opt_state, x, y)
                losses.append(float(loss))
            scores.append([float(score) for score in evaluate(params)])
    return losses, np.asarray(scores)


@pytest.mark.parametrize("name", MODELS)
def test_every_member_is_what_a_plain_loop_trains(corpus, name):
    model, plain = MODELS[name]
    task = LanguageModel(corpus, model=model)
    space = Space(
        learning_rate=Float(1e-4, 1e-2),
        label_smoothing=Float(0.0, 0.2),
        width=Int(4, 7),
        batch_size=SIZE,
        epochs=EPOCHS,
    )
    configs = [
        {"learning_rate": 0.003, "label_smoothing": 0.1, "width": 5},
        {"learning_rate": 0.001, "label_smoothing": 0.0, "width": 7},
    ]
    engine = Engine(task, space, rows=2, seed=SEED)
    engine.submit(fresh(space.encode(configs), np.arange(2)))
    found = collect_all(engine)
    data = task.data()
    steps = len(data["train_x"]) // SIZE
    assert steps * EPOCHS >= 50
    # The first member is padded to the width of the second, its company.
    p = {**space.constants, **space.params(space.encode(configs))[0]}
    module = plain(p["width"], len(corpus.vocabulary))
    start = initial(task, p, 0).variables["params"]
    losses, scores = plain_loop(module, start, data, p)
    _, curves, _, state = found[0]
    losses = np.reshape(losses, (EPOCHS, steps)).mean(axis=1)
    np.testing.assert_allclose(curves["train_loss"], losses, rtol=1e-3)
    np.testing.assert_allclose(curves["val_loss"], scores[:, 0], rtol=1e-3)
    perplexity = np.exp(scores[:, 0])
    np.testing.assert_allclose(curves["val_perplexity"], perplexity, rtol=3e-3)
    one_position = 1.5 / data["validation_y"].size
    np.testing.assert_allclose(curves["val_accuracy"], scores[:, 1], atol=one_position)
    assert curves["train_loss"][-1] < curves["train_loss"][0]
    check_generation(task.export(p, state), corpus)


def check_generation(fitted, corpus):
    """No step sees what comes after it; text is drawn from the last T symbols."""
    forward = jax.jit(fitted.forward)
    codes = corpus.encode(TEXT[: 2 * T])
    with jax.numpy_dtype_promotion("standard"):
        one = forward(codes[None, :T])
        other = forward(np.where(np.arange(T) < 5, codes[:T], codes[T:])[None])
        np.testing.assert_allclose(one[:, :5], other[:, :5], rtol=1e-5, atol=1e-5)
        assert np.any(np.abs(one[:, 5:] - other[:, 5:]) > 1e-3)
        text = TEXT[:5]
        for _ in range(T):
            last = corpus.encode(text)[-T:]
            window = np.pad(last, (0, T - len(last)))
            code = np.argmax(np.asarray(forward(window[None]))[0, len(last) - 1])
            text += corpus.vocabulary[code]
        key = jax.random.key(0)
        assert fitted.generate(TEXT[:5], T, key=key, temperature=0) == text[5:]
    with pytest.raises(DataError, match="prompt must have a symbol"):
        fitted.generate("", 3, key=key)
    with pytest.raises(HyperparameterError, match="temperature must be at least 0"):
        fitted.generate("a", 3, key=key, temperature=-1)
    with pytest.raises(DataError, match="at most 8 symbols"):
        fitted.predict(np.zeros((1, T + 1), np.int32))


class OwnLinen(linen.Module):
    symbols: int

    @linen.compact
    def __call__(self, x):
        return linen.Dense(self.symbols)(linen.Embed(self.symbols, 4)(x))


class OwnNnx(nnx.Module):
    def __init__(self, symbols, rngs):
        self.embed = nnx.Embed(symbols, 4, rngs=rngs)
        self.output = nnx.Linear(4, symbols, rngs=rngs)

    def __call__(self, x):
        return self.output(self.embed(x))


@pytest.mark.parametrize(
    "model",
    [
        lambda info: OwnLinen(info.vocab_size),
        lambda info, rngs: OwnNnx(info.num_outputs, rngs),
    ],
    ids=["linen", "nnx"],
)
def test_modules_of_ones_own_map_codes_to_logits_at_every_step(corpus, model):
    task = LanguageModel(corpus, model=model, monitor=["top_3_accuracy"])
    data = jax.tree.map(jnp.asarray, task.data())
    hp = Hyperparameters({"learning_rate": 0.01})

    @jax.jit
    def one_step(key):
        state = task.init(hp, key)
        after, recorded = task.step(hp, state, data, jnp.arange(SIZE), key)
        return state, after, recorded, task.evaluate(hp, state, data)

    with jax.numpy_dtype_promotion("standard"):
        state, after, recorded, scores = one_step(jax.random.key(0))
    assert recorded["train_loss"].shape == ()
    fitted = task.export(hp, state)
    logits = fitted.predict(data["validation_x"])
    shorter = fitted.predict(data["validation_x"][:, :3])
    np.testing.assert_allclose(shorter, logits[:, :3], rtol=1e-6)
    assert logits.shape == (*data["validation_y"].shape, len(corpus.vocabulary))
    flat = logits.reshape(-1, logits.shape[-1]), data["validation_y"].ravel()
    np.testing.assert_allclose(
        scores["val_top_3_accuracy"], metrics.top_k_accuracy(*flat, k=3), rtol=1e-6
    )
    np.testing.assert_allclose(
        scores["val_perplexity"], np.exp(metrics.log_loss(*flat)), rtol=1e-5
    )
    changed = jax.tree.map(
        lambda a, b: bool(jnp.any(a != b)), state.variables, after.variables
    )
    assert all(jax.tree.leaves(changed))


def test_long_splits_are_scored_in_turns(corpus, monkeypatch):
    task = LanguageModel(corpus, model=lambda info: OwnLinen(info.vocab_size))
    data, hp = jax.tree.map(jnp.asarray, task.data()), Hyperparameters({})
    state = jax.jit(lambda key: task.init(hp, key))(jax.random.key(0))
    at_once = jax.jit(lambda: task.evaluate(hp, state, data))()
    monkeypatch.setattr("evotune.tasks._scored.STEPS", 2 * T)
    in_turns = jax.jit(lambda: task.evaluate(hp, state, data))()
    assert len(data["validation_x"]) % 2 == 1
    for name, value in at_once.items():
        np.testing.assert_allclose(in_turns[name], value, rtol=1e-6)


def test_parts_of_a_text_share_no_symbol():
    corpus = datasets.characters("".join(map(chr, range(100, 1124))), length=10)
    parts = corpus.split(validation=0.2, test=0.1)
    seen = [
        {*part.x.ravel().tolist(), *part.y.ravel().tolist()}
        for part in (parts.train, parts.validation, parts.test)
    ]
    assert max(seen[0]) < min(seen[1]) <= max(seen[1]) < min(seen[2])
    for part in (parts.train, parts.validation, parts.test):
        np.testing.assert_array_equal(part.y, part.x + 1)  # codes in order of the text
        assert len(np.unique(part.x)) == part.x.size
    assert len(parts.train) == (1024 - 204 - 102 - 1) // 10
    assert len(corpus.split(test=0).test) == 0


def test_text_comes_from_files_too_and_back_from_codes(tmp_path):
    path = tmp_path / "poem.txt"
    path.write_text("Grüße\nund mehr", encoding="utf-8")
    corpus = datasets.characters(path, length=2)
    assert corpus.name == "poem"
    assert corpus.decode(corpus.codes) == "Grüße\nund mehr"
    manual = datasets.characters()
    assert len(manual) > 100_000
    assert "Python" in manual.source


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: datasets.characters("aaaa"), "two different characters"),
        (lambda: datasets.characters("abab", length=0), "length=64"),
        (lambda: datasets.characters(3), "pathlib.Path"),
        (lambda: datasets.characters(TEXT).split(validation=2), "share of the text"),
        (lambda: datasets.characters("ab" * 20).split(), "must fill a window"),
        (lambda: datasets.characters(TEXT).encode("Ω"), "must be in the vocabulary"),
        (lambda: LanguageModel(datasets.wine()), "needs a text"),
    ],
)
def test_texts_that_do_not_fit_say_what_to_do(make, message):
    with pytest.raises(DataError, match=message):
        make()


def test_missing_files_are_named(tmp_path):
    with pytest.raises(DataError, match="cannot be read as UTF-8"):
        datasets.characters(tmp_path / "none.txt")


def test_what_makes_no_sense_for_symbols_is_refused(corpus):
    with pytest.raises(HyperparameterError, match="MLP takes numbers"):
        LanguageModel(corpus, model=models.MLP())
    task = LanguageModel(corpus, model=models.RNN())
    wrong = {"mixup": (0.0, 1.0), "pooling": ("last",), "label_smoothing": (0.0, 2.0)}
    for message in ("mixup changes numbers", "pooling is not read", "must lie in"):
        assert any(message in problem for problem in task.check(wrong))
    with pytest.raises(HyperparameterError, match="mixup changes numbers"):
        Engine(task, Space(mixup=Float(0.0, 1.0)), rows=1)

    class Pooled(linen.Module):
        @linen.compact
        def __call__(self, x):
            return linen.Dense(len(corpus.vocabulary))(
                jnp.mean(linen.Embed(30, 4)(x), axis=1)
            )

    task = LanguageModel(corpus, model=Pooled())
    with pytest.raises(HyperparameterError, match="at every step"):
        Engine(task, Space(learning_rate=Float(0.1, 0.2)), rows=1)
