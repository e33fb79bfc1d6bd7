"""Weighted metrics are scikit-learn's with ``sample_weight``."""

from __future__ import annotations

import functools

import jax
import numpy as np
import pytest
from sklearn import metrics as sk

from evotune import metrics
from tests.metrics.test_parity import probabilities

ROWS = 40


def of_predictions(function, **options):
    def score(logits, y, w):
        return function(y, logits.argmax(axis=1), sample_weight=w, **options)

    return score


def top(k):
    def score(logits, y, w):
        classes = range(logits.shape[1])
        if len(classes) == 2:
            return 1.0
        return sk.top_k_accuracy_score(y, logits, k=k, labels=classes, sample_weight=w)

    return score


def of_chances(function, **options):
    def score(logits, y, w):
        p = probabilities(logits)
        p = p[:, 1] if p.shape[1] == 2 else p
        return function(y, p, sample_weight=w, **options)

    return score


def log_loss(logits, y, w):
    return sk.log_loss(y, probabilities(logits), sample_weight=w)


def averaged(**functions):
    return {
        f"{name}_{average}": of_predictions(function, average=average, zero_division=0)
        for name, function in functions.items()
        for average in ("micro", "macro", "weighted")
    }


COUNTED = {
    "precision": sk.precision_score,
    "recall": sk.recall_score,
    "f1": sk.f1_score,
}
CLASSES = {
    "accuracy": of_predictions(sk.accuracy_score),
    "balanced_accuracy": of_predictions(sk.balanced_accuracy_score),
    **{f"top_{k}_accuracy": top(k) for k in (2, 3)},
    **averaged(**COUNTED),
    "roc_auc": of_chances(sk.roc_auc_score, multi_class="ovr"),
    "average_precision": of_chances(sk.average_precision_score),
    "matthews": of_predictions(sk.matthews_corrcoef),
    "cohen_kappa": of_predictions(sk.cohen_kappa_score),
    "quadratic_kappa": of_predictions(sk.cohen_kappa_score, weights="quadratic"),
    "loss": log_loss,
    "perplexity": lambda *args: np.exp(log_loss(*args)),
    "brier_score": of_chances(sk.brier_score_loss),
}
OF_TWO = {name: of_predictions(f, zero_division=0) for name, f in COUNTED.items()}
QUANTITIES = {
    "loss": sk.mean_squared_error,
    "mse": sk.mean_squared_error,
    "rmse": sk.root_mean_squared_error,
    "mae": sk.mean_absolute_error,
    "median_absolute_error": sk.median_absolute_error,
    "r2": sk.r2_score,
    "mape": sk.mean_absolute_percentage_error,
}
LABELS = {
    "subset_accuracy": sk.accuracy_score,
    "hamming_loss": sk.hamming_loss,
    **{
        f"{name}_{average}": functools.partial(f, average=average, zero_division=0)
        for name, f in COUNTED.items()
        for average in ("micro", "macro", "weighted", "samples")
    },
}


def weights(rng):
    """Some of them 0, and some equal."""
    return (rng.integers(0, 4, ROWS) * 0.75).astype(np.float32)


def scores(known, names, *arguments):
    compute = jax.jit(lambda *args: {name: known[name](*args) for name in names})
    return compute(*arguments)


@pytest.mark.parametrize("classes", [2, 4])
def test_classification(classes):
    rng = np.random.default_rng(classes)
    logits = (np.round(16 * rng.normal(size=(ROWS, classes))) / 8).astype(np.float32)
    y = rng.integers(0, classes, ROWS).astype(np.int32)
    w = weights(rng)
    reference = {**CLASSES, **(OF_TWO if classes == 2 else {})}
    if classes == 2:
        del reference["top_3_accuracy"]
    found = scores(metrics.CLASSIFICATION, reference, logits, y, w)
    for name, score in found.items():
        expected = reference[name](logits.astype(np.float64), y, w)
        np.testing.assert_allclose(score, expected, rtol=2e-5, err_msg=name)


@pytest.mark.parametrize("columns", [1, 3])
def test_regression(columns):
    rng = np.random.default_rng(columns)
    targets, noise = rng.normal(size=(2, ROWS, columns)).astype(np.float32)
    outputs = targets + 0.3 * noise
    w = weights(rng)
    found = scores(metrics.REGRESSION, QUANTITIES, outputs, targets, w)
    for name, score in found.items():
        expected = QUANTITIES[name](targets, outputs, sample_weight=w)
        np.testing.assert_allclose(score, expected, rtol=5e-5, err_msg=name)


def test_several_labels():
    rng = np.random.default_rng(0)
    logits = np.round(2 * rng.normal(size=(ROWS, 3)), 1).astype(np.float32)
    y = (rng.random(logits.shape) < 0.4).astype(np.float32)
    w = weights(rng)
    ranked = {
        "roc_auc": sk.roc_auc_score,
        "average_precision": sk.average_precision_score,
    }
    found = scores(metrics.MULTILABEL, [*LABELS, *ranked, "loss"], logits, y, w)
    for name, function in LABELS.items():
        expected = function(y, logits > 0, sample_weight=w)
        np.testing.assert_allclose(found[name], expected, rtol=2e-5, err_msg=name)
    for name, function in ranked.items():
        expected = function(y, logits, sample_weight=w)
        np.testing.assert_allclose(found[name], expected, rtol=2e-5, err_msg=name)
    chances = 1 / (1 + np.exp(-logits.astype(np.float64)))
    losses = [sk.log_loss(y[:, c], chances[:, c], sample_weight=w) for c in range(3)]
    np.testing.assert_allclose(found["loss"], np.mean(losses), rtol=2e-5)


def test_equal_weights_change_nothing_and_no_weight_at_all_is_finite():
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(ROWS, 3)).astype(np.float32)
    y = rng.integers(0, 3, ROWS).astype(np.int32)
    names = [name for name in metrics.CLASSIFICATION if name not in OF_TWO]
    plain = scores(metrics.CLASSIFICATION, names, logits, y)
    for weight in (1.0, 0.0):
        w = np.full(ROWS, weight, np.float32)
        for name, score in scores(metrics.CLASSIFICATION, names, logits, y, w).items():
            assert np.isfinite(score), name
            if weight:
                np.testing.assert_allclose(score, plain[name], rtol=1e-5, err_msg=name)


def test_metrics_without_weights_say_so():
    unweighted = {
        name
        for known in (metrics.CLASSIFICATION, metrics.REGRESSION, metrics.MULTILABEL)
        for name, metric in known.items()
        if not metric.is_weighted
    }
    assert unweighted == {"expected_calibration_error", "max_error"}
