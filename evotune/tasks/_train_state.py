"""All that belongs to one network in training, and how a step moves it on."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax

from evotune.tasks._averaging import Average
from evotune.training import Stepper

Objective = Callable[[Any], tuple[jax.Array, tuple[jax.Array, Any]]]
"""params -> (what is minimised, (the loss that is recorded, all variables after))."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainState:
    """All that belongs to one member in training.

    Attributes:
        variables: {"params": ..., further collections} of the network.
        optimizer: State of the optax optimiser.
        average: Moving average of the variables; None where the space has no `ema`.
        step: i32[] steps made so far; None where no rate changes over training.
    """

    variables: Any
    optimizer: Any
    average: Average | None = None
    step: jax.Array | None = None

    @property
    def evaluated(self) -> Any:
        """The variables that are scored and handed out: averaged where asked."""
        return self.variables if self.average is None else self.average.variables

    def after(
        self, objective: Objective, stepper: Stepper, ema: Any
    ) -> tuple[TrainState, jax.Array]:
        """The state after one step of ``stepper`` down ``objective``, and its loss.

        Args:
            objective: Of the parameters.
            stepper: What turns the gradient into a step.
            ema: Decay of the average; not read where the state has none.
        """
        params = self.variables["params"]
        gradients, (loss, variables) = jax.grad(objective, has_aux=True)(params)
        params, optimizer = stepper.step(gradients, self.optimizer, params)
        variables = {**variables, "params": params}
        average = self.average
        if average is not None:
            average = average.including(variables, ema)
        new = TrainState(
            variables=variables,
            optimizer=optimizer,
            average=average,
            step=None if self.step is None else self.step + 1,
        )
        return new, loss
