"""A linen module, used as it is."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen

from evotune import nn
from evotune._signatures import parameter_names
from evotune.models._network import Info, Variables
from evotune.models._pooling import fast_pooling

_TRAIN_FLAGS = {
    "train": True,
    "training": True,
    "is_training": True,
    "deterministic": False,
}
_MODE_DEPENDENT = (linen.Dropout, linen.BatchNorm)


class LinenNetwork:
    """Wraps ``module`` without changing it.

    ``train``, ``training``, ``is_training`` or ``deterministic`` is found in the
    signature of its ``__call__``. A traced dropout rate works: calls of
    `flax.linen.Dropout` are intercepted and computed with the same draws. Convolutions
    and pooling are computed in the form that is fast for a population.
    """

    def __init__(
        self,
        module: linen.Module,
        info: Info,
        *,
        eval_module: linen.Module | None = None,
    ):
        """Wraps ``module``; ``eval_module`` replaces it outside of training."""
        self.module = module
        self._modules = {True: module, False: eval_module or module}
        self.info = info
        names = parameter_names(type(module).__call__)
        self._flag = next((name for name in _TRAIN_FLAGS if name in names), None)
        self._knows_mode = self._flag is not None or eval_module is not None

    def _mode(self, train: bool) -> dict[str, Any]:
        if self._flag is None:
            return {}
        return {self._flag: _TRAIN_FLAGS[self._flag] is train}

    def fitted(self, variables: Variables) -> linen.Module:
        """The module itself; linen modules hold no variables."""
        return self._modules[False]

    def layers(self, params: Mapping[str, Any]) -> Mapping[str, nn.InUse]:
        """See `Network.layers`: all of a user's own are."""
        return {}

    def init(self, key: jax.Array) -> Variables:
        """Initial variables, exactly as ``module.init`` makes them from ``key``."""
        x = jnp.zeros((1, *self.info.input_shape), self.info.input_dtype)
        seen: set[str] = set()
        with _intercept(seen):
            variables = self._modules[False].init(key, x, **self._mode(train=False))
        if seen and not self._knows_mode:
            raise TypeError(
                f"{type(self.module).__name__} uses {', '.join(sorted(seen))}, which "
                "behave differently in training, but its __call__ takes none of "
                f"{', '.join(_TRAIN_FLAGS)}. Add `train: bool` to __call__ and pass "
                "`deterministic=not train` or `use_running_average=not train` on, or "
                "take it in the constructor: `model=lambda hp, info, train: ...`."
            )
        return dict(variables)

    def apply(
        self, variables: Variables, x: jax.Array, *, train: bool, key: jax.Array | None
    ) -> tuple[jax.Array, Variables]:
        """See `Network.apply`."""
        mutable = [name for name in variables if name != "params"] if train else []
        rngs = {"dropout": key} if train and key is not None else None
        with self._intercepted():
            outputs, updated = self._modules[train].apply(
                variables, x, rngs=rngs, mutable=mutable, **self._mode(train)
            )
        return outputs, {**variables, **updated}

    def intermediates(self, variables: Variables, x: jax.Array) -> Variables:
        """What every submodule returns in evaluation, by its path."""
        with self._intercepted():
            _, seen = self._modules[False].apply(
                variables,
                x,
                mutable=["intermediates"],
                capture_intermediates=True,
                **self._mode(train=False),
            )
        return dict(seen["intermediates"])

    def _intercepted(self) -> contextlib.AbstractContextManager[None]:
        """What the module runs under; intercepting calls makes tracing slower."""
        return _intercept(set())


@contextlib.contextmanager
def _intercept(seen: set[str]) -> Iterator[None]:
    """Notes modules that depend on the mode; exchanges what computes some of them."""

    def interceptor(
        call: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        context: linen.module.InterceptorContext,
    ) -> Any:
        module = context.module
        if context.method_name != "__call__":
            return call(*args, **kwargs)
        if isinstance(module, linen.Conv):
            with _fast_convolution(module):
                return call(*args, **kwargs)
        if not isinstance(module, _MODE_DEPENDENT):
            return call(*args, **kwargs)
        seen.add(type(module).__name__)
        if isinstance(module, linen.Dropout) and isinstance(module.rate, jax.Array):
            return _traced_dropout(module, *args, **kwargs)
        return call(*args, **kwargs)

    with linen.intercept_methods(interceptor), fast_pooling():
        yield


@contextlib.contextmanager
def _fast_convolution(module: linen.Conv) -> Iterator[None]:
    """Gives ``module`` another function for its convolution, unless it has its own."""
    if module.conv_general_dilated or module.conv_general_dilated_cls:
        yield
        return
    # Flax freezes modules; this one is put back as it was.
    object.__setattr__(module, "conv_general_dilated", nn.conv_general_dilated)
    try:
        yield
    finally:
        object.__setattr__(module, "conv_general_dilated", None)


def _traced_dropout(
    module: linen.Dropout,
    inputs: jax.Array,
    deterministic: bool | None = None,
    rng: jax.Array | None = None,
) -> jax.Array:
    deterministic = linen.merge_param(
        "deterministic", module.deterministic, deterministic
    )
    if deterministic:
        return inputs
    key = module.make_rng(module.rng_collection) if rng is None else rng
    return nn.dropout(key, inputs, module.rate, broadcast_dims=module.broadcast_dims)
