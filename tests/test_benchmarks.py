"""Every benchmark runs, and the rivals of the speed benchmark do the same work."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np
import pytest

import evotune as et
from benchmarks import _contest, _harness, _sides
from benchmarks.rivals import (
    _modules,
    evotune_tune,
    handwritten,
    optuna_steps,
    ray_tune,
    scan_one,
)

ROOT = Path(__file__).resolve().parents[1]
# The sides of benchmarks.rivals run in these; one of them is started by itself, too.
SCRIPTS = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in (ROOT / "benchmarks").glob("*.py")
    if not path.name.startswith("_")
)
SCRIPTS.append("benchmarks.rivals.scan_one")
SETTINGS = {"width": 8, "epochs": 2, "batch_size": 64, "seed": 3}


@pytest.mark.parametrize("name", SCRIPTS)
def test_tiny_form_runs_without_a_warning(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", name, "--tiny"],
        cwd=ROOT,
        env={**os.environ, "MPLBACKEND": "agg"},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    # All sides train the same, and long enough to have learnt something.
    for apart in re.findall(r"mean accuracies differ by (\S+)", done.stdout):
        assert float(apart) < 0.1, done.stdout


def test_every_rival_is_a_side_of_a_benchmark() -> None:
    used = [path.read_text(encoding="utf-8") for path in ROOT.glob("benchmarks/*.py")]
    for path in (ROOT / "benchmarks" / "rivals").glob("[!_]*.py"):
        assert any(f'"{path.stem}"' in text for text in used), path.stem


@pytest.fixture(scope="module", autouse=True)
def _plain_promotion() -> Iterator[None]:
    """Optax is not strict about dtypes; set for all threads, as rivals use several."""
    before = jax.config.jax_numpy_dtype_promotion
    jax.config.update("jax_numpy_dtype_promotion", "standard")
    yield
    jax.config.update("jax_numpy_dtype_promotion", before)


@pytest.fixture(scope="module")
def case() -> tuple[_harness.Data, np.ndarray]:
    # Small rates: with large ones Adam is chaotic, and rounding decides where it goes.
    rates = _harness.random_learning_rates(5, seed=1, low=1e-4, high=1e-2)
    return _harness.digits(seed=1), rates


@pytest.fixture(scope="module")
def expected(case: tuple[_harness.Data, np.ndarray]) -> np.ndarray:
    return scan_one.run(*case, **SETTINGS).accuracies


@pytest.mark.parametrize(
    ("run", "options"),
    [
        (handwritten.run, {"block": 2}),
        (handwritten.run, {"optimization_level": None}),
        (scan_one.run, {"at_once": 2, "again": 1}),
        (optuna_steps.run, {"form": "best", "again": 1}),
        (optuna_steps.run, {"form": "best", "at_once": 2}),
        (optuna_steps.run, {"form": "usual"}),
        (optuna_steps.run, {"form": "eager"}),
    ],
    ids=lambda value: (
        getattr(value, "__module__", None) or "-".join(map(str, value.values()))
    ),
)
def test_rivals_learn_the_same_from_the_same(run, options, case, expected) -> None:
    result = run(*case, **SETTINGS, **options)
    assert result.accuracies.shape == (5, SETTINGS["epochs"])
    # Two of the 360 validation rows may fall to the other side of a tie.
    np.testing.assert_allclose(result.accuracies, expected, atol=2.5 / 360)
    assert result.accuracies[:, -1].mean() > 0.2
    assert result.compile_seconds > 0.0
    assert result.train_seconds > 0.0
    assert result.again_seconds.shape == (options.get("again", 0),)


@pytest.mark.parametrize("network", ["nnx", "gru"])
def test_populations_by_hand_learn_what_one_at_a_time_does(network, case) -> None:
    data, rates = case
    settings = {**SETTINGS, "network": network, "epochs": 1}
    found = handwritten.run(data, rates[:4], **settings, block=2, again=1)
    alone = scan_one.run(data, rates[:4], **settings)
    np.testing.assert_allclose(found.accuracies, alone.accuracies, atol=2.5 / 360)
    assert found.again_seconds.shape == (1,)
    assert 0.0 < found.steady_seconds < found.seconds


def test_evotune_trains_as_the_rivals_do_and_times_further_populations(case) -> None:
    settings = {**SETTINGS, "width": 32, "epochs": 4}
    rates = np.linspace(2.9e-3, 3.1e-3, 4, dtype=np.float32)
    found = evotune_tune.run(case[0], rates, **settings, own=True, again=2)
    plain = scan_one.run(case[0], rates, **settings).accuracies
    assert found.accuracies.shape == plain.shape
    # Other initial values, and other rows of the same number to validate on.
    difference = found.accuracies.mean(axis=0) - plain.mean(axis=0)
    assert np.abs(difference[-1]) < 0.03, (found.accuracies, plain)
    assert found.again_seconds.shape == (2,)
    assert 0.0 < found.steady_seconds < found.seconds


@pytest.mark.parametrize("network", ["mlp", "gru", "transformer"])
def test_families_have_the_shape_of_the_plain_module(network) -> None:
    family = evotune_tune.model_of(network, 16, own=False)
    info = et.models.Info(input_shape=(64,), num_outputs=10)
    plain = _modules.make_network(network, 16, 10)
    expected = _modules.parameters_of(plain, np.zeros((1, 64), np.float32))
    assert et.models.parameter_count(family, {"width": 16}, info) == expected


def test_a_rival_compiles_each_program_once(case, count_compiles) -> None:
    names = {"train_share", "train", "init", "step", "evaluate"}
    for run in (handwritten.run, scan_one.run, optuna_steps.run):
        with count_compiles() as compiles:
            run(*case, **SETTINGS)
        repeated = {name: compiles[name] for name in names if compiles[name] > 1}
        assert not repeated


def test_data_are_standardised_by_the_training_rows_and_split_by_class() -> None:
    data = _harness.digits(seed=0)
    used = data.x_train.std(axis=0) > 0
    np.testing.assert_allclose(data.x_train.mean(axis=0), 0.0, atol=1e-5)
    np.testing.assert_allclose(data.x_train.std(axis=0)[used], 1.0, atol=1e-4)
    shares = np.bincount(data.y_valid) / np.bincount(data.y_train)
    np.testing.assert_allclose(shares, 0.25, atol=0.02)


def test_every_epoch_is_shuffled_anew_and_repeats_no_row() -> None:
    orders = _harness.data_orders(0, samples=100, epochs=3, batch_size=16)
    assert orders.shape == (3, 6, 16)
    for order in orders:
        assert len(np.unique(order)) == order.size
    assert not np.array_equal(orders[0], orders[1])
    with pytest.raises(ValueError, match="batch must fit"):
        _harness.data_orders(0, samples=10, epochs=1, batch_size=16)


def test_a_side_that_fails_or_cannot_start_costs_no_other_side(case, capsys) -> None:
    sides = {
        "evotune": _contest.Contender(module="scan_one"),
        "fails": _contest.Contender(module="scan_one", options={"at_once": 9}),
        "absent": _contest.Contender(module="scan_one", needs=["no_such_package"]),
        "fewer": _contest.Contender(module="scan_one", trainings=2),
    }
    found = _contest.contest(sides, *case, **SETTINGS, turns=1)
    figures = _contest.summary(found, trainings=5)
    (alone,) = found["evotune"].results
    assert alone.accuracies.shape == (5, SETTINGS["epochs"])
    assert alone.seconds == alone.compile_seconds + alone.train_seconds
    assert "needs a device" in figures["fails"]["failed"]
    assert "evotune[rivals]" in figures["absent"]["left_out"]
    assert figures["fewer"]["trainings"] == 2
    for side in (figures["evotune"], figures["fewer"]):
        compiling = 1e3 * side["compile_seconds"] / 5
        training = 1e3 * side["train_seconds"] / side["trainings"]
        np.testing.assert_allclose(side["ms_per_training"], compiling + training)
    ours = figures["evotune"]["ms_per_training"]
    ratio = figures["fewer"]["ms_per_training"] / ours
    np.testing.assert_allclose(figures["fewer"]["times_with_compiling"], ratio)
    assert "evotune[rivals]" in _contest.table("", figures)
    assert "needs a device" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="fails"):
        _contest.leave([figures])


def test_seconds_of_a_trial_are_those_after_the_first_on_each_core() -> None:
    ends = [10.0, 11.0, 12.0, 13.0, 14.0, 15.0]  # two at once, started at 0
    assert ray_tune.steady_seconds(0.0, ends, 2) == pytest.approx(6.0)
    assert ray_tune.steady_seconds(0.0, ends[:2], 2) == 11.0


def test_the_median_run_is_one_of_the_runs() -> None:
    runs = [
        _sides.RivalResult(
            compile_seconds=1.0, train_seconds=seconds, accuracies=np.zeros((1, 1))
        )
        for seconds in (5.0, 1.0, 3.0, 9.0)
    ]
    assert _sides.median_of(runs) is runs[2]
    with pytest.raises(ValueError, match="at least one run"):
        _sides.median_of([])


def test_a_record_names_command_versions_and_hardware(tmp_path: Path) -> None:
    path = _harness.write_result(
        "speed", {"x": 1}, settings={"width": 8}, folder=tmp_path
    )
    text = path.read_text(encoding="utf-8")
    for word in ("schema_version", "python -m benchmarks.speed", "processor", "jax"):
        assert word in text
    assert str(ROOT) not in text
