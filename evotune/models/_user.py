"""Any Flax module of the user's, linen or nnx, made from hyperparameters."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from flax import linen

from evotune._contracts import Binding
from evotune._signatures import call_by_name, parameter_names
from evotune.models._linen import LinenNetwork
from evotune.models._mlp import MLP
from evotune.models._network import Info, Model, Network, Variables


@dataclasses.dataclass(frozen=True)
class UserModel:
    """Makes a member's network by calling ``build``, whose arguments go by name.

    Args:
        build: A function of any of ``hp`` (hyperparameters, by attribute), ``info``
            (an `Info`), ``rngs`` (for nnx) and ``train`` (for linen modules that take
            the mode in their constructor), that returns a Flax module.
    """

    build: Callable[..., Any]
    skips: ClassVar[tuple[str, ...]] = ()

    @property
    def bindings(self) -> Mapping[str, Binding]:
        """Nothing is known beforehand: the engine probes."""
        return {}

    def network(self, hp: Any, info: Info) -> Network:
        """See `Model.network`."""
        names = parameter_names(self.build)
        if "rngs" in names:
            from evotune.models._nnx import NnxNetwork

            return NnxNetwork(
                lambda rngs: call_by_name(self.build, hp=hp, info=info, rngs=rngs)
            )
        if "train" in names:
            train, evaluate = (
                call_by_name(self.build, hp=hp, info=info, train=mode)
                for mode in (True, False)
            )
            return LinenNetwork(_linen(train), info, eval_module=_linen(evaluate))
        return LinenNetwork(_linen(call_by_name(self.build, hp=hp, info=info)), info)

    def multiply_adds(self, sizes: Mapping[str, Any], info: Info) -> float | None:
        """Unknown for a user's own module."""
        return None

    def check(self, values: Mapping[str, tuple[Any, ...]]) -> list[str]:
        """Nothing is known beforehand."""
        return []

    def slice(self, variables: Variables, hp: Any, info: Info) -> Variables:
        """A user's own module is never padded."""
        return variables


def as_model(model: Any) -> Model:
    """Makes a `Model` of what users pass as ``model=``.

    Args:
        model: A model family such as `MLP`, a function that returns a Flax module, a
            linen module (the same for every member), or None for `MLP()`.

    Raises:
        TypeError: If it is none of these.
    """
    if model is None:
        return MLP()
    if hasattr(model, "network") and hasattr(model, "bindings"):
        return model
    if isinstance(model, linen.Module):
        return UserModel(lambda: model)
    if isinstance(model, type) or not callable(model):
        raise TypeError(
            "model must be a model family such as `et.models.MLP()` or a function that "
            f"returns a Flax module, but got {model!r}. "
            "Use `model=lambda hp, info: Net(width=hp.width)` for linen, "
            "`model=lambda hp, info, rngs: Net(hp.width, rngs=rngs)` for nnx."
        )
    return UserModel(model)


def _linen(module: Any) -> linen.Module:
    if isinstance(module, linen.Module):
        return module
    raise TypeError(
        "model must return a Flax module, but returned "
        f"{type(module).__module__}.{type(module).__name__}. A linen module is "
        "returned as it is; for an nnx module take `rngs` too: "
        "`model=lambda hp, info, rngs: Net(hp.width, rngs=rngs)`."
    )
