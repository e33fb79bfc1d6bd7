"""`import evotune` costs little more than the three packages it stands on."""

from __future__ import annotations

import statistics
import subprocess
import sys

FACTOR = 1.5
LAZY = (
    "ConfigSpace",
    "IPython",
    "evosax",
    "flax.nnx",
    "matplotlib",
    "mnist1d",
    "optuna",
    "pandas",
    "rich",
    "sklearn",
)


def run(code: str) -> str:
    """Output of ``code`` in a fresh interpreter where warnings are errors."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def seconds(modules: str) -> float:
    return float(
        run(
            "import time; start = time.perf_counter()\n"
            f"import {modules}\n"
            "print(time.perf_counter() - start)"
        )
    )


def test_import_takes_less_than_half_again_its_foundations() -> None:
    seconds("evotune")  # writes the bytecode and warms the disk cache
    own: list[float] = []
    base: list[float] = []
    # In turns, so that a busy moment hits both; more turns only where it is close.
    for _ in range(7):
        base.append(seconds("jax, flax, optax"))
        own.append(seconds("evotune"))
        ratio = statistics.median(own) / statistics.median(base)
        if len(own) >= 3 and ratio < FACTOR:
            break
    assert ratio < FACTOR, f"{ratio:.2f} times the foundations: {own=}, {base=}"


def test_import_leaves_the_extras_and_the_terminal_alone() -> None:
    # flax itself brings some of these: only what evotune adds to it counts.
    listing = "import sys; print(*sys.modules, sep='\\n')"
    base = set(run(f"import jax, flax, optax, chex; {listing}").split())
    own = set(run(f"import evotune; {listing}").split())
    added = sorted(name for name in LAZY if name in own - base)
    assert not added, f"import evotune also imports {added}: import them at first use"


def test_import_does_not_start_jax() -> None:
    # Once a backend is up, the number of CPU devices is fixed and this raises.
    code = (
        "import evotune, jax\n"
        "jax.config.update('jax_num_cpu_devices', 3)\n"
        "print(jax.local_device_count('cpu'))"
    )
    assert run(code).strip() == "3"
