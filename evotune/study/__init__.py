"""The study: the host loop, the durable record, resume, progress, callbacks."""

from evotune.study._added import create_trial
from evotune.study._budget import Budget
from evotune.study._cube_fitness import cube_fitness
from evotune.study._fitted import default_algorithm
from evotune.study._frozen_trial import FrozenTrial, TrialState
from evotune.study._progress import Progress, make_progress
from evotune.study._protocols import Engine, Finished
from evotune.study._repeats import check_repeats
from evotune.study._simulate import simulate
from evotune.study._study import Study
from evotune.study._trial import Trial

__all__ = [
    "Budget",
    "Engine",
    "Finished",
    "FrozenTrial",
    "Progress",
    "Study",
    "Trial",
    "TrialState",
    "check_repeats",
    "create_trial",
    "cube_fitness",
    "default_algorithm",
    "make_progress",
    "simulate",
]
