"""The data behind plots and tables: right in either direction, whatever is missing."""

from __future__ import annotations

import types

import numpy as np
import pytest

from evotune import report
from evotune.space import Ordinal, Space


def _trials(build, *rows, **fields):
    """Trials of (state, value, params); more fields for all of them."""
    made = []
    for number, (state, value, params) in enumerate(rows):
        made.append(
            build.trial(
                number=number,
                state=types.SimpleNamespace(name=state),
                value=value,
                params=params,
                **{"curves": {}, "generation": 0, "system_attrs": {}, **fields},
            )
        )
    return made


def _study(trials, direction="maximize", **fields):
    return types.SimpleNamespace(trials=trials, direction=direction, **fields)


def test_best_so_far_never_gets_worse_in_either_direction(build):
    up = report.optimization_history(build.study(direction="maximize"))
    assert (np.diff(up.best) >= 0).all()
    assert up.best[-1] == up.value.max()
    down = report.optimization_history(build.study(direction="minimize"))
    assert (np.diff(down.best) <= 0).all()
    assert down.best[-1] == down.value.min()


def test_history_sorts_trials_by_what_became_of_them(build):
    trials = _trials(
        build,
        ("COMPLETE", 1.0, {}),
        ("FAIL", None, {}),
        ("PRUNED", 9.0, {}),
        ("COMPLETE", 3.0, {}),
        ("RUNNING", None, {}),
        ("COMPLETE", float("nan"), {}),
    )
    data = report.optimization_history(_study(trials[::-1]))
    assert data.number.tolist() == [0, 3]
    assert data.failed.tolist() == [1]
    assert data.pruned.tolist() == [2]
    assert data.best_number == 3
    assert data.metric == "value"


def test_of_equal_trials_the_first_is_the_best(build):
    trials = _trials(build, *[("COMPLETE", 1.0, {})] * 3)
    for direction in ("maximize", "minimize"):
        assert report.optimization_history(_study(trials, direction)).best_number == 0


def test_generation_medians_are_those_of_numpy(study):
    data = report.optimization_history(study)
    generations, medians = data.median
    assert generations.tolist() == [0, 1, 2, 3, 4]
    for generation, median in zip(generations, medians, strict=True):
        assert median == np.median(data.value[data.generation == generation])


def test_learning_curves_go_from_the_worst_to_the_best(study):
    data = report.learning_curves(study)
    assert data.metric == "val_accuracy"
    assert data.best == len(data.curves) - 1
    assert (np.diff(data.rank) > 0).all()
    assert data.total == len([t for t in study.trials if t.value is not None])
    assert data.companion is None
    loss = report.learning_curves(study, metric="val_loss")
    assert loss.companion is not None


def test_learning_curves_are_thinned_evenly_and_keep_the_best(study):
    data = report.learning_curves(study, max_curves=10)
    assert (len(data.curves), data.best, data.rank[0], data.rank[-1]) == (10, 9, 0, 1)
    assert np.ptp(np.diff(data.rank)) < 0.05


def test_learning_curves_end_where_the_numbers_end(build):
    curve = np.asarray([0.1, np.nan, 0.3, np.nan, np.nan], np.float32)
    trials = _trials(build, ("COMPLETE", 0.3, {}), curves={"val_r2": curve})
    (found,) = report.learning_curves(_study(trials)).curves
    np.testing.assert_allclose(found, [0.1, 0.1, 0.3], rtol=1e-6)


def test_an_unknown_metric_is_refused_with_the_known_ones(study):
    with pytest.raises(ValueError, match=r"'val_acuracy'.*Did you mean 'val_accuracy'"):
        report.learning_curves(study, metric="val_acuracy")


def test_population_shares_add_up_and_quartiles_are_ordered(study):
    choices = report.parameter_by_generation(study, "optimizer")
    assert choices.choices == ("sgd", "adam", "adamw", "lion")
    np.testing.assert_allclose(choices.share.sum(axis=1), 1.0)
    numbers = report.parameter_by_generation(study, "learning_rate")
    assert numbers.is_log
    assert numbers.bounds == (1e-4, 1e-1)
    assert (np.diff(numbers.quartiles, axis=1) >= 0).all()
    assert not report.parameter_by_generation(study, "dropout").is_log
    assert report.parameter_by_generation(study, "depth").is_int


def test_a_conditional_parameter_counts_only_where_it_was_active(study):
    active = [t for t in study.trials if "momentum" in t.params and t.value is not None]
    data = report.parameter_values(study, "momentum")
    assert len(data.value) == len(active) < len(study.trials)
    assert data.best is None
    assert report.parameter_by_generation(study, "momentum").best_value is None


def test_parameters_are_told_apart_without_a_space(build):
    trials = _trials(
        build,
        ("COMPLETE", 1.0, {"a": 1, "b": True, "c": "x", "d": 0.5}),
        ("COMPLETE", 2.0, {"a": 3, "b": False, "c": 7, "d": 2}),
    )
    study = _study(trials)
    assert report.parameter_values(study, "a").choices == ()
    assert report.parameter_values(study, "a").bounds == (1.0, 3.0)
    assert report.parameter_values(study, "b").choices == (False, True)
    assert set(report.parameter_values(study, "c").choices) == {"x", 7}
    assert not report.parameter_values(study, "d").is_int


def test_ordinal_choices_are_shown_in_their_order(build):
    space = Space(size=Ordinal(["small", "middle", "large"]), batch=Ordinal([16, 256]))
    trials = _trials(
        build,
        ("COMPLETE", 0.5, {"size": "large", "batch": 256}),
        ("COMPLETE", 0.7, {"size": "small", "batch": 16}),
    )
    study = _study(trials, space=space)
    sizes = report.parameter_values(study, "size")
    assert sizes.choices == ("small", "middle", "large")
    assert sizes.parameter.tolist() == [2, 0]
    assert report.parameter_values(study, "batch").choices == (16, 256)


def test_an_unknown_parameter_is_refused_with_the_known_ones(study):
    with pytest.raises(ValueError, match=r"'widht'.*Did you mean 'width'"):
        report.parameter_values(study, "widht")


def test_summary_counts_every_trial_once(study):
    numbers = report.summary(study)
    counted = (
        numbers.complete
        + numbers.pruned
        + numbers.diverged
        + numbers.failed
        + numbers.unfinished
    )
    assert counted == numbers.trials == 120
    assert numbers.diverged > 0
    assert numbers.failed == 0
    assert numbers.generations == 5
    assert "best validation accuracy: 0.9" in str(numbers)
    assert "learning_rate" in str(numbers)
    assert "no trial is complete" in str(report.summary(_study([])))


def test_best_trials_are_ranked_in_either_direction(build):
    for direction, order in (("maximize", -1), ("minimize", 1)):
        study = build.study(trials=60, population=20, direction=direction)
        table = report.best_trials(study, top=5)
        column = [float(row[3]) for row in table.rows]
        assert column == sorted(column, key=lambda value: order * value)
        assert len(table.rows) == 5
        assert "–" in {cell for row in table.rows for cell in row}  # momentum
        assert len({len(line) for line in str(table).splitlines()}) == 1


def test_something_else_than_a_study_is_refused():
    with pytest.raises(TypeError, match=r"got dict\. Pass what tune"):
        report.summary({})


def test_values_are_written_in_six_digits_at_most():
    from evotune.report._records import duration, label, text

    values = (0.98333334, 3e-5, 1234567, 0.1, True, "relu", 0.0, 123.456789, -2.5e9)
    assert [text(value) for value in values] == [
        *("0.9833", "3e-5", "1234567", "0.1", "True", "relu", "0", "123.457", "-2.5e9")
    ]
    assert [duration(s) for s in (0.84, 95, 720, 12240)] == [
        *("0.8 s", "95 s", "12 min", "3.4 h")
    ]
    assert label("val_accuracy") == "validation accuracy"
    assert label("train_loss") == "training loss"
    assert label("value") == "value"
