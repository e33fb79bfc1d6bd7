"""How a network is trained: optimisers, schedules and bounds on the gradient.

Everything is written for one member and takes hyperparameters by name, as a mapping
whose numbers may be traced. `evotune.tasks` builds on it, and so may your own loop:

    now = at_step(hp, step, horizon)  # the rates of this step
    updates, state = make_optimizer(now).update(gradients, state, params)
"""

from evotune.training import schedules
from evotune.training._checks import check_training, ignores
from evotune.training._names import BINDINGS
from evotune.training._optimizers import OPTIMIZERS, make_optimizer
from evotune.training._over_time import at_step, is_scheduled
from evotune.training._regularized import Mask, Regularize, is_kernel, regularized
from evotune.training._stepper import Stepper
from evotune.training.schedules import SCHEDULES

__all__ = [
    "BINDINGS",
    "OPTIMIZERS",
    "SCHEDULES",
    "Mask",
    "Regularize",
    "Stepper",
    "at_step",
    "check_training",
    "ignores",
    "is_kernel",
    "is_scheduled",
    "make_optimizer",
    "regularized",
    "schedules",
]
