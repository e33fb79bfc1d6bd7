"""What rows promise, given what is known, and which of them make a batch."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp

from evotune.algorithms._batch import believer_batch
from evotune.algorithms._duplicates import fingerprint, repeats
from evotune.algorithms._gaussian_process import GaussianProcess, noise_variance
from evotune.algorithms._kernel import scaled_squares
from evotune.algorithms._local_penalization import penalized_batch
from evotune.algorithms._thompson import thompson_batch

BATCHES = ("believer", "local_penalization", "thompson")
"""How the rows of a batch may be made to differ."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Promise:
    """An acquisition of a process; of what has been tried, nothing is promised.

    Attributes:
        acquisition: ``(mean, deviation, best) -> f32[P]``.
        process: What is known.
        best: f32[], what is to be improved on.
        seen: u32[H], the history of `remember`.
    """

    acquisition: Callable[..., jax.Array]
    process: GaussianProcess
    best: jax.Array
    seen: jax.Array

    def __call__(self, x: jax.Array) -> jax.Array:
        """What each row promises, f32[C] of f32[C, D]; -inf where it is a repeat."""
        mean, variance, _ = self.process.predict(x)
        return jnp.where(self._new(x), self._value(mean, variance), -jnp.inf)

    def batch(self, how: str, key: jax.Array, x: jax.Array, size: int) -> jax.Array:
        """Which rows make a batch of different ones.

        Args:
            how: One of `BATCHES`.
            key: Consumed.
            x: f32[C, D], canonical.
            size: P, at most C.

        Returns:
            i32[P].
        """
        if how == "believer":
            return self.believer(x, size)
        if how == "thompson":
            normal = jax.random.normal(key, (size, x.shape[0]), jnp.float32)
            return thompson_batch(*self.process.joint(x), normal, self._new(x))
        mean, variance, _ = self.process.predict(x)
        value, deviation = self._value(mean, variance), jnp.sqrt(variance)
        lengths = self.process.hyperparameters.log_lengths
        apart = jnp.sqrt(scaled_squares(x, x, lengths, self.process.geometry))
        return penalized_batch(
            *(value, mean, deviation, apart, self._new(x), self.best), size=size
        )

    def believer(self, x: jax.Array, size: int) -> jax.Array:
        """i32[P] of C rows, each chosen as if those before it had come true."""
        return believer_batch(
            *(*self.process.joint(x), self._noise, self._new(x), self.best),
            size=size,
            acquisition=self.acquisition,
        )

    def _new(self, x: jax.Array) -> jax.Array:
        return ~repeats(fingerprint(x), self.seen)

    def _value(self, mean: jax.Array, variance: jax.Array) -> jax.Array:
        # The improvement of a trial, noise included: among trials the best is sought.
        return self.acquisition(mean, jnp.sqrt(variance + self._noise), self.best)

    @property
    def _noise(self) -> jax.Array:
        return noise_variance(self.process.hyperparameters.log_noise)
