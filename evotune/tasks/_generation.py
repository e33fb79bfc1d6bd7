"""Continuing a text with a trained language model."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from evotune._errors import DataError, HyperparameterError, count_problems, raise_all
from evotune.datasets import Corpus
from evotune.tasks._preprocessing import checked_codes
from evotune.tasks._task import FittedModel


@dataclasses.dataclass(frozen=True, kw_only=True)
class FittedLanguageModel(FittedModel):
    """A trained language model, free of evotune's engine.

    Attributes:
        forward: Maps windows i32[B, T] to logits f32[B, T, V]; JAX can trace it.
        corpus: The text that it was trained on, with its vocabulary.
    """

    forward: Callable[[jax.Array], jax.Array]
    corpus: Corpus

    def generate(
        self, prompt: str, n: int, *, key: jax.Array, temperature: float = 1.0
    ) -> str:
        """The next ``n`` symbols after ``prompt``, drawn one by one.

        Symbol t + 1 is drawn from softmax(logits / temperature) at t; the model sees
        the last T symbols.

        Args:
            prompt: At least one symbol of the vocabulary.
            n: How many symbols to draw, at least 1.
            key: A PRNG key, consumed.
            temperature: Above 0; 0 takes the most likely symbol.

        Raises:
            DataError: If the prompt is empty, or has unknown symbols.
            HyperparameterError: If ``n`` or the temperature does not fit.

        Example:
            >>> import jax
            >>> import evotune as et
            >>> corpus = et.datasets.characters("abab" * 100, length=8)
            >>> model = et.models.RNN(width=8)
            >>> task = et.tasks.LanguageModel(corpus, model=model)
            >>> space = et.Space(learning_rate=et.Float(0.05, 0.1), batch_size=4)
            >>> result = et.tune(task, space, n_trials=2, progress=False)
            >>> fitted = result.best_model()
            >>> fitted.generate("ab", 4, key=jax.random.key(0), temperature=0)
            'abab'
        """
        codes = self.corpus.encode(prompt)
        if not codes.size:
            raise DataError(
                "A prompt must have a symbol to start from, but it is empty. "
                f"Use generate({self.corpus.vocabulary[0]!r}, 100, key=key)."
            )
        raise_all(
            count_problems("It is how many symbols to draw.", n=n),
            HyperparameterError,
            "generate()",
        )
        if not temperature >= 0:
            raise HyperparameterError(
                f"temperature must be at least 0, but got {temperature!r}. "
                "Use temperature=1.0."
            )
        length = self.corpus.length
        codes = codes[-length:]
        window = np.zeros(length, np.int32)
        window[: codes.size] = codes

        def draw(
            carry: tuple[jax.Array, jax.Array], key: jax.Array
        ) -> tuple[tuple[jax.Array, jax.Array], jax.Array]:
            window, used = carry
            logits = self.forward(window[None])[0, used - 1]
            if temperature == 0:
                code = jnp.argmax(logits).astype(jnp.int32)
            else:
                code = jax.random.categorical(key, logits / temperature)
                code = code.astype(jnp.int32)
            full = used == length
            moved = jnp.where(full, jnp.roll(window, -1), window)
            place = jnp.where(full, used - 1, used)
            return (moved.at[place].set(code), place + 1), code

        start = jnp.asarray(window), jnp.asarray(codes.size, jnp.int32)
        _, drawn = jax.lax.scan(draw, start, jax.random.split(key, n))
        return self.corpus.decode(np.asarray(drawn).tolist())


def forward_causal(
    forward: Callable[[jax.Array], jax.Array], codes: Any, corpus: Corpus
) -> jax.Array:
    """f32[N, T', V]: logits at each step of windows of any T' up to the corpus's T.

    Raises:
        DataError: If windows are too long, or no codes of the vocabulary.
    """
    codes = checked_codes(codes, len(corpus.vocabulary))
    steps = codes.shape[1]
    if steps > corpus.length:
        raise DataError(
            f"Windows must have at most {corpus.length} symbols, as those that the "
            f"model was trained on, but got {steps}. "
            f"Pass `codes[:, -{corpus.length}:]`."
        )
    # Later steps change nothing before them, so that they can be anything.
    padded = np.pad(np.maximum(codes, 0), ((0, 0), (0, corpus.length - steps)))
    return forward(jnp.asarray(padded))[:, :steps]
