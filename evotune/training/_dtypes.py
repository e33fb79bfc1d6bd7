"""Keeping a model's dtypes while float32 rates train it."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax


def keep_dtypes(inner: optax.GradientTransformation) -> optax.GradientTransformation:
    """Keeps the state's dtypes: float32 rates must not promote a bfloat16 model."""

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        # optax raises float32 rates to integer step counts.
        with jax.numpy_dtype_promotion("standard"):
            stepped, new_state = inner.update(updates, state, params)
        return _cast_like(stepped, updates), _cast_like(new_state, state)

    return optax.GradientTransformation(inner.init, update)


def _cast_like(tree: Any, like: Any) -> Any:
    return jax.tree.map(lambda new, old: jnp.asarray(new, old.dtype), tree, like)
