"""Optuna's samplers on evotune's engine, and evotune's algorithms in Optuna's studies.

    from evotune.integrations.optuna import EvotuneSampler, OptunaSearch

    et.tune(task, space, algorithm=OptunaSearch(sampler="TPESampler"), n_trials=256)
    optuna.create_study(sampler=EvotuneSampler(seed=0)).optimize(f, n_trials=100)

It needs ``pip install 'evotune[optuna]'``.
"""

from __future__ import annotations

from evotune._errors import require

require("optuna", extra="optuna", purpose="evotune.integrations.optuna")

from evotune.integrations._optuna_sampler import EvotuneSampler  # noqa: E402
from evotune.integrations._optuna_search import OptunaSearch  # noqa: E402
from evotune.integrations._optuna_space import (  # noqa: E402
    from_distributions,
    to_distributions,
)

__all__ = ["EvotuneSampler", "OptunaSearch", "from_distributions", "to_distributions"]
