"""Each measure and each rule on curves of a known form, and on real trainings."""

from __future__ import annotations

import types

import numpy as np
import pytest

import evotune as et
from evotune import diagnostics
from evotune.diagnostics import Thresholds, diagnose

T = np.arange(20)
FALL = np.exp(-T / 4)


def trial(number=0, state="COMPLETE", **curves):
    return types.SimpleNamespace(
        number=number,
        state=types.SimpleNamespace(name=state),
        curves={name: np.asarray(curve) for name, curve in curves.items()},
    )


def flags_of(*trials, **options):
    return [each.flags for each in diagnose(trials, **options)]


def test_roughness_is_what_its_formula_says():
    y = np.asarray([3.0, 1.0, 2.0, 0.0])
    assert diagnostics.roughness(y) == pytest.approx((3 + 3) / 2 / 3)
    assert diagnostics.roughness(FALL) <= 1 / (len(FALL) - 2)
    long = np.random.default_rng(1).normal(size=400)
    assert diagnostics.roughness(long) == pytest.approx(0.3, abs=0.1)
    assert diagnostics.roughness(np.ones(5)) is None
    assert diagnostics.roughness(np.ones(2)) is None


def test_noise_finds_the_standard_deviation_of_white_noise():
    rng = np.random.default_rng(2)
    curve = np.linspace(3, 0, 4000) + rng.normal(0, 0.2, 4000)
    assert diagnostics.noise(curve) == pytest.approx(0.2, rel=0.05)


def test_convergence_of_a_line_and_of_an_exponential():
    line = np.linspace(1, 0, 11)
    assert diagnostics.epochs_to(line) == 10
    assert diagnostics.epochs_to(line, share=0.5) == 6
    assert diagnostics.area(line) == pytest.approx(0.5)
    fine = np.exp(-np.linspace(0, 10, 2001))
    assert diagnostics.area(fine) == pytest.approx(0.1, abs=1e-3)
    assert diagnostics.epochs_to(np.linspace(0, 1, 5)) is None
    assert diagnostics.area(np.ones(5)) is None


def test_the_gap_takes_the_evaluated_loss_where_it_was_recorded():
    curves = {"train_loss": FALL + 0.5, "val_loss": FALL + 0.3}
    stepped = diagnose([trial(**curves)])[0]
    fair = diagnose([trial(**curves, train_evaluated_loss=FALL + 0.1)])[0]
    assert stepped.gap == pytest.approx(-0.2)
    assert fair.gap == pytest.approx(0.2)
    scores = {"train_r2": 1 - FALL, "val_r2": 0.7 - FALL}
    found = diagnose([trial(**scores)], metric="val_r2", direction="maximize")[0]
    assert found.gap == pytest.approx(0.3)
    assert diagnose([trial(val_loss=FALL)])[0].gap is None


SOUND = {"train_loss": FALL + 0.1 - T / 1000, "val_loss": FALL + 0.15 - T / 300}
TROUBLES = {
    "diverged": {"train_loss": np.exp(T / 4), "val_loss": np.exp(T / 4)},
    "overfitting": {"train_loss": FALL, "val_loss": FALL + 0.2 + T / 50},
    "underfitting": {
        "train_loss": 0.7 + 0.3 * FALL - T / 500,
        "val_loss": 0.75 + 0.3 * FALL - T / 500,
    },
    "plateau": {"train_loss": FALL**3, "val_loss": FALL**3 + 0.15},
    "noisy": {
        "train_loss": SOUND["train_loss"],
        "val_loss": SOUND["val_loss"] + 0.05 * (-1.0) ** T - T / 200,
    },
}


@pytest.mark.parametrize("name", TROUBLES)
def test_each_trouble_is_named_alone(name):
    assert tuple(TROUBLES) == diagnostics.FLAGS
    both = [trial(0, **SOUND), trial(1, **TROUBLES[name])]
    assert flags_of(*both) == [(), (name,)]


def test_noise_alone_is_no_overfitting():
    wild = [
        trial(i, train_loss=FALL, val_loss=1 + 0.2 * noise)
        for i, noise in enumerate(np.random.default_rng(3).normal(size=(50, 20)))
    ]
    found = flags_of(*wild)
    assert sum("noisy" in each for each in found) >= 48
    assert sum("overfitting" in each for each in found) <= 2


def test_what_a_rule_cannot_judge_it_does_not_name():
    assert flags_of(trial(), trial(1, val_loss=[1.0]), trial(2, val_loss=[1, 2])) == [
        (),
        (),
        (),
    ]
    assert flags_of(trial(state="FAIL", val_loss=[1.0, np.nan])) == [("diverged",)]
    assert diagnose([]).counts == dict.fromkeys(diagnostics.FLAGS, 0)


def test_thresholds_move_the_lines():
    slow = trial(**TROUBLES["overfitting"])
    assert flags_of(slow, thresholds=Thresholds(overfitting=0.9)) != [("overfitting",)]
    with pytest.raises(ValueError, match=r"but got noise=-1.0\. Use `Thresholds\(noi"):
        Thresholds(noise=-1.0)
    with pytest.raises(ValueError, match="one of diverged, overfitting"):
        diagnose([slow]).flagged("overfit")


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """Few rows, a fifth of them with a wrong label, and settings that fail on them."""
    digits, rng = et.datasets.digits(), np.random.default_rng(0)
    y = np.where(rng.random(240) < 0.2, rng.integers(0, 10, 240), digits.y[:240])
    task = et.tasks.Classification(
        et.datasets.arrays(digits.x[:240], y),
        model=et.models.MLP(depth=1),
        train_metrics=True,
        test=0.0,
        validation=0.5,
    )
    space = et.Space(
        learning_rate=et.Categorical([1e-5, 0.03, 0.3, 3e38]),
        width=et.Categorical([1, 32]),
        optimizer="sgd",
        epochs=40,
        batch_size=5,
    )
    storage = tmp_path_factory.mktemp("runs")

    def run():
        return et.tune(
            task,
            space,
            algorithm=et.GridSearch(batch_size=8),
            n_trials=8,
            progress=False,
            storage=storage,
            resume=True,
        )

    return run(), run, storage


def flags_by_setting(result):
    found = result.diagnostics()
    return {
        tuple(trial.params.values()): each.flags
        for trial, each in zip(result.trials, found, strict=True)
    }


def test_real_trainings_show_the_troubles_that_their_settings_cause(searched):
    found = flags_by_setting(searched[0])
    assert found[3e38, 1] == found[3e38, 32] == ("diverged",)  # far too large a rate
    assert "overfitting" in found[0.03, 32]  # too many epochs on few rows
    assert "overfitting" not in found[0.03, 1]
    assert "underfitting" in found[0.03, 1]  # a single unit
    assert "underfitting" in found[1e-5, 32]  # hardly learns
    assert "noisy" in found[0.3, 1]  # a large rate and batches of five
    assert "noisy" not in found[1e-5, 32]


def test_the_gap_is_that_of_the_losses_evaluated_alike(searched):
    result = searched[0]
    for each, diagnosis in zip(result.trials, result.diagnostics(), strict=True):
        if each.state.name == "COMPLETE":
            last = {name: curve[-4:] for name, curve in each.curves.items()}
            expected = np.mean(last["val_loss"]) - np.mean(last["train_evaluated_loss"])
            assert diagnosis.gap == pytest.approx(expected, abs=1e-5)


def test_resumed_and_loaded_trials_are_diagnosed_alike(searched):
    result, run, storage = searched
    pytest.importorskip("pandas")
    frame = result.trials_dataframe()
    assert {"value", "params_width", "diagnostics_gap"} <= set(frame)
    overfitting = frame["diagnostics_overfitting"]
    assert overfitting.dtype == bool
    assert overfitting.sum() == result.diagnostics().counts["overfitting"] > 0
    resumed = run()
    for name in (name for name in frame if name.startswith("diagnostics_")):
        np.testing.assert_array_equal(resumed.trials_dataframe()[name], frame[name])
    loaded = et.Study.load(storage)
    again = diagnose(loaded.trials, metric=loaded.metric, direction=loaded.direction)
    assert list(again) == list(result.diagnostics())
    assert list(again.dataframe()) == ["number", *again.columns()]


def test_a_function_has_no_diagnostics_columns():
    pytest.importorskip("pandas")
    result = et.tune(
        et.tasks.Function(lambda hp: hp.x**2),
        et.Space(x=et.Float(-1.0, 1.0)),
        algorithm=et.RandomSearch(batch_size=4),
        n_trials=4,
        progress=False,
    )
    assert not [n for n in result.trials_dataframe() if n.startswith("diagnostics")]


def test_the_report_says_what_goes_with_a_trouble(tmp_path):
    rng = np.random.default_rng(0)
    rates = 10 ** rng.uniform(-4, 0, 40)
    bad = rates > 0.01
    trials = [
        et.create_trial(
            params={"rate": float(rate), "kind": "a" if fails else "b", "other": 0.5},
            value=None if fails else 1.0 + float(rate),
            state=et.TrialState.FAIL if fails else et.TrialState.COMPLETE,
        )
        for rate, fails in zip(rates, bad, strict=True)
    ]
    study = types.SimpleNamespace(trials=trials, direction="minimize")
    table = et.report.troubles(study)
    assert [row[:2] for row in table.rows] == [("diverged", f"{bad.sum()} of 40")]
    assert table.rows[0][2].startswith("large rate (")
    assert "kind a (100% against 0%)" in table.rows[0][2]
    assert "other" not in table.rows[0][2]
    pytest.importorskip("matplotlib")
    page = et.report.html(study, tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<h2>Troubles</h2>" in page
    assert "Lower the upper bound of the learning rate" in page


def test_a_study_without_trouble_has_no_such_section(tmp_path):
    study = types.SimpleNamespace(
        trials=[et.create_trial(params={"x": 0.5}, value=1.0)], direction="minimize"
    )
    assert et.report.troubles(study).rows == ()
    pytest.importorskip("matplotlib")
    page = et.report.html(study, tmp_path / "page.html").read_text(encoding="utf-8")
    assert "Troubles" not in page
