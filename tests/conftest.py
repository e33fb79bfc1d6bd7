"""What holds in every test: strict dtypes and ranks, several devices, fixed seeds."""

from __future__ import annotations

import collections
import contextlib
import gc
import itertools
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import jax
import jax.monitoring
import numpy as np
import pytest

# Most of the time goes to compiling small things that run once. Level 1 is what evotune
# compiles its own programs with on CPU.
os.environ["XLA_FLAGS"] = " ".join(
    [os.environ.get("XLA_FLAGS", ""), "--xla_backend_optimization_level=1"]
).strip()

# A mixed dtype or a silent broadcast is a bug here, and one device hides sharding bugs.
# All of it must be set before JAX makes its first array.
jax.config.update("jax_num_cpu_devices", 2)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

# What an earlier run has compiled must not hide what this one compiles, and what the
# user has calibrated must not change what is planned here.
os.environ["EVOTUNE_CACHE"] = "off"

# Plots are drawn without a display, and nothing writes to the user's terminal.
os.environ.setdefault("MPLBACKEND", "agg")

_QUIET = [hypothesis.HealthCheck.too_slow, hypothesis.HealthCheck.data_too_large]
hypothesis.settings.register_profile(
    "default", deadline=None, max_examples=50, suppress_health_check=_QUIET
)
hypothesis.settings.register_profile(
    "ci", hypothesis.settings.get_profile("default"), derandomize=True, print_blob=True
)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "default")

COMPILED = "/jax/core/compile/backend_compile_duration"

MAPS = Path("/proc/self/maps")
MOST_MAPS = 20_000
"""Linux lets a process have 65,530 mappings of memory, each compiled program takes
some, and XLA crashes where it gets no more."""

OFTEN = 50
_done = itertools.count(1)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Any:
    """Forgets what was compiled, between files, suites or many tests, if it is much."""
    result = yield
    group = (getattr(item, "module", None), getattr(item, "cls", None))
    following = (getattr(nextitem, "module", None), getattr(nextitem, "cls", None))
    due = next(_done) % OFTEN == 0 or group != following
    if due and MAPS.exists() and MAPS.read_bytes().count(b"\n") > MOST_MAPS:
        from evotune.testing._harness import harness

        harness.cache_clear()
        jax.clear_caches()
        gc.collect()
    return result


@pytest.fixture(autouse=True)
def _seeds() -> None:
    """Nobody should draw from the global generators; who does draws the same."""
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002


@pytest.fixture
def count_compiles() -> Callable[
    [], contextlib.AbstractContextManager[collections.Counter[str]]
]:
    """Counts what XLA compiles inside a ``with``, by the name of the jitted function.

    Example:
        with count_compiles() as compiles:
            study.run(engine, generations=3)
        assert compiles["train"] == 1
        assert compiles.total() == 1
    """

    @contextlib.contextmanager
    def counting() -> Iterator[collections.Counter[str]]:
        counter: collections.Counter[str] = collections.Counter()

        def listener(event: str, duration: float, **attributes: object) -> None:
            if event == COMPILED:
                name = str(attributes.get("fun_name", "?"))
                name = name.removeprefix("jit(").removesuffix(")")
                if name != "compiler_option":  # what `known_options` tries, once
                    counter[name] += 1

        jax.monitoring.register_event_duration_secs_listener(listener)
        try:
            yield counter
        finally:
            jax.monitoring.unregister_event_duration_listener(listener)

    return counting
