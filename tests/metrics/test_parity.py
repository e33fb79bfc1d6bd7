"""Every metric is scikit-learn's, under jit and vmap, where that gives a number."""

from __future__ import annotations

import functools
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from evotune import metrics

CLOSE = {"rtol": 1e-5, "atol": 1e-5}
ROWS = 24  # one shape for each number of classes, so that little is compiled


def probabilities(logits):
    logits = np.asarray(logits, np.float64)
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)


def predictions(logits):
    return np.argmax(logits, axis=1)


def of_predictions(function, **options):
    return lambda logits, y: function(y, predictions(logits), **options)


def averages(name, function):
    return {
        f"{name}_{average}": of_predictions(function, average=average, zero_division=0)
        for average in ("micro", "macro", "weighted")
    }


def top(k):
    def of(logits, y):
        classes = range(logits.shape[1])
        if len(classes) == 2:
            return 1.0
        return sk.top_k_accuracy_score(y, logits, k=k, labels=classes)

    return of


def one_against_rest(function, logits, y, needs_others):
    """Mean over the classes where scikit-learn's score of one class is defined."""
    p = probabilities(logits)
    columns = [1] if p.shape[1] == 2 else range(p.shape[1])
    found = []
    for c in columns:
        positive = y == c
        if positive.any() and not (needs_others and positive.all()):
            found.append(function(positive, p[:, c]))
    return np.mean(found) if found else (0.5 if needs_others else 0.0)


def kappa(logits, y, **options):
    predicted = predictions(logits)
    if len({*y, *predicted}) == 1:
        return 0.0
    labels = range(logits.shape[1])
    return sk.cohen_kappa_score(y, predicted, labels=labels, **options)


def brier(logits, y):
    p, classes = probabilities(logits), range(logits.shape[1])
    if len(classes) == 2:
        return sk.brier_score_loss(y, p[:, 1], labels=classes, pos_label=1)
    return sk.brier_score_loss(y, p, labels=classes)


def calibration(logits, y, bins=15):
    p = probabilities(logits)
    confidence, right = p.max(axis=1), predictions(logits) == y
    total = 0.0
    for m in range(bins):
        inside = (confidence > m / bins) & (confidence <= (m + 1) / bins)
        if inside.any():
            gap = abs(right[inside].mean() - confidence[inside].mean())
            total += inside.mean() * gap
    return total


def log_loss(logits, y):
    return sk.log_loss(y, probabilities(logits), labels=range(logits.shape[1]))


def binary(function):
    def of(logits, y):
        labels = {"pos_label": 1, "average": "binary"}
        return function(y, predictions(logits), zero_division=0, **labels)

    return of


REFERENCE = {
    "accuracy": of_predictions(sk.accuracy_score),
    "loss": log_loss,
    "perplexity": lambda logits, y: np.exp(log_loss(logits, y)),
    "balanced_accuracy": of_predictions(sk.balanced_accuracy_score),
    "top_2_accuracy": top(2),
    "top_3_accuracy": top(3),
    "top_5_accuracy": top(5),
    "precision": binary(sk.precision_score),
    "recall": binary(sk.recall_score),
    "f1": binary(sk.f1_score),
    **averages("precision", sk.precision_score),
    **averages("recall", sk.recall_score),
    **averages("f1", sk.f1_score),
    "roc_auc": lambda logits, y: one_against_rest(sk.roc_auc_score, logits, y, True),
    "average_precision": lambda logits, y: one_against_rest(
        sk.average_precision_score, logits, y, False
    ),
    "matthews": of_predictions(sk.matthews_corrcoef),
    "cohen_kappa": kappa,
    "quadratic_kappa": functools.partial(kappa, weights="quadratic"),
    "brier_score": brier,
    "expected_calibration_error": calibration,
}
ONLY_OF_TWO = {"precision", "recall", "f1"}


def test_every_metric_has_a_reference():
    assert set(REFERENCE) == set(metrics.CLASSIFICATION)


@functools.cache
def compiled(classes):
    """All metrics of f32[members, N, C] logits and i32[members, N] labels at once."""
    names = [n for n in REFERENCE if classes == 2 or n not in ONLY_OF_TWO]

    def one(logits, labels):
        return {n: metrics.CLASSIFICATION[n](logits, labels) for n in names}

    return jax.jit(jax.vmap(one))


@st.composite
def members(draw):
    """Logits with ties and labels with absent classes, of two members."""
    classes = draw(st.sampled_from([2, 3, 6]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    present = draw(st.integers(1, classes))
    labels = rng.choice(rng.permutation(classes)[:present], (2, ROWS))
    logits = rng.normal(size=(2, ROWS, classes)) * draw(st.sampled_from([0.1, 1, 3]))
    if draw(st.booleans()):
        rows = rng.integers(0, draw(st.integers(1, ROWS)), (2, ROWS))
        logits = np.stack([member[i] for member, i in zip(logits, rows, strict=True)])
    if draw(st.booleans()):
        logits[:, :, rng.integers(classes)] -= 10.0  # a class that nobody predicts
    return logits.astype(np.float32), labels.astype(np.int32)


@settings(max_examples=30)
@given(members())
def test_classification_is_that_of_scikit_learn(sample):
    logits, labels = sample
    found = compiled(logits.shape[-1])(logits, labels)
    for name, scores in found.items():
        for member in range(len(logits)):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                expected = REFERENCE[name](logits[member], labels[member])
            np.testing.assert_allclose(scores[member], expected, err_msg=name, **CLOSE)


def test_roc_auc_is_that_of_scikit_learn_for_several_classes_at_once():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(200, 4)).astype(np.float32) * 2
    labels = rng.integers(0, 4, 200).astype(np.int32)
    p = probabilities(logits)
    expected = sk.roc_auc_score(labels, p, multi_class="ovr", average="macro")
    found = jax.jit(metrics.roc_auc)(logits, labels)
    np.testing.assert_allclose(found, expected, **CLOSE)
    expected = sk.average_precision_score(labels, p)
    found = jax.jit(metrics.average_precision)(logits, labels)
    np.testing.assert_allclose(found, expected, **CLOSE)


def test_the_confusion_matrix_is_that_of_scikit_learn():
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(100, 5)).astype(np.float32)
    labels = rng.integers(0, 4, 100).astype(np.int32)
    found = jax.jit(metrics.confusion_matrix)(logits, labels)
    expected = sk.confusion_matrix(labels, predictions(logits), labels=range(5))
    assert found.dtype == jnp.int32
    np.testing.assert_array_equal(found, expected)


def test_agreement_is_exact_where_nearly_all_is_of_one_class():
    rng = np.random.default_rng(2)
    labels = np.zeros(60_000, np.int32)
    labels[:7] = [1, 1, 1, 2, 2, 0, 0]
    guesses = np.where(rng.random(labels.size) < 3e-5, 1, labels)
    guesses[:3] = [1, 0, 1]
    logits = np.eye(3, dtype=np.float32)[guesses]
    for name in ("matthews", "cohen_kappa", "quadratic_kappa"):
        found = jax.jit(metrics.CLASSIFICATION[name].__call__)(logits, labels)
        np.testing.assert_allclose(found, REFERENCE[name](logits, labels), **CLOSE)


def test_ranking_sees_beyond_probabilities_that_round_to_one():
    logits = jnp.asarray([[0.0, 40.0], [0.0, 50.0], [0.0, 60.0], [0.0, 45.0]])
    labels = jnp.asarray([0, 1, 1, 0])
    roc_auc = jax.jit(metrics.roc_auc)
    assert roc_auc(logits, labels) == 1.0
    assert roc_auc(jnp.pad(logits, ((0, 0), (0, 1))), labels) == 1.0


@pytest.mark.parametrize("name", metrics.CLASSIFICATION)
def test_numbers_are_finite_wherever_outputs_are(name):
    metric = jax.jit(metrics.CLASSIFICATION[name].__call__)
    labels = np.zeros(5, np.int32)  # all of one class
    for logits in (np.zeros((5, 2)), np.full((5, 2), 1e4), np.eye(5, 2) * 1e30):
        for sign in (1, -1):
            logits = np.asarray(sign * logits, np.float32)
            assert np.isfinite(metric(logits, labels)), logits


def test_outputs_of_low_precision_are_scored_as_float32():
    logits = jnp.asarray([[0.0, 1.0], [1.0, 0.0], [0.25, 0.5]], jnp.bfloat16)
    labels = jnp.asarray([1, 0, 0])
    for name in ("loss", "roc_auc", "expected_calibration_error"):
        metric = jax.jit(metrics.CLASSIFICATION[name].__call__)
        assert metric(logits, labels) == metric(logits.astype(jnp.float32), labels)


def test_many_examples_lose_no_digits():
    rng = np.random.default_rng(3)
    labels = (rng.random(50_000) < 0.3).astype(np.int32)
    scores = np.round(rng.normal(size=50_000) + 0.7 * labels, 2).astype(np.float32)
    logits = np.stack([np.zeros_like(scores), scores], axis=1)
    for name, expected in (
        ("roc_auc", sk.roc_auc_score(labels, scores)),
        ("average_precision", sk.average_precision_score(labels, scores)),
    ):
        found = jax.jit(metrics.CLASSIFICATION[name].__call__)(logits, labels)
        np.testing.assert_allclose(found, expected, **CLOSE)


def of_targets(function):
    return lambda outputs, targets: function(targets, outputs)


QUANTITIES = {
    "loss": of_targets(sk.mean_squared_error),
    "mse": of_targets(sk.mean_squared_error),
    "rmse": of_targets(sk.root_mean_squared_error),
    "mae": of_targets(sk.mean_absolute_error),
    "median_absolute_error": of_targets(sk.median_absolute_error),
    "max_error": lambda outputs, targets: np.mean(
        [sk.max_error(t, o) for t, o in zip(targets.T, outputs.T, strict=True)]
    ),
    "r2": of_targets(sk.r2_score),
    "mape": of_targets(sk.mean_absolute_percentage_error),
}


@functools.cache
def regression():
    assert set(QUANTITIES) == set(metrics.REGRESSION)
    return jax.jit(
        lambda outputs, targets: {
            name: metrics.REGRESSION[name](outputs, targets) for name in QUANTITIES
        }
    )


@given(
    seed=st.integers(0, 2**32 - 1),
    columns=st.sampled_from([1, 3]),
    constant=st.booleans(),
    right=st.booleans(),
    zero=st.booleans(),
)
def test_regression_is_that_of_scikit_learn(seed, columns, constant, right, zero):
    rng = np.random.default_rng(seed)
    targets = rng.normal(size=(ROWS, columns)).astype(np.float32) + 0.5
    outputs = targets + 0.3 * rng.normal(size=targets.shape).astype(np.float32)
    if constant:
        targets[:, 0] = 0.1
    if right:
        outputs[:, 0] = targets[:, 0]
    if zero:
        targets[0, 0] = 0.0
    for name, score in regression()(outputs, targets).items():
        expected = QUANTITIES[name](
            outputs.astype(np.float64), targets.astype(np.float64)
        )
        np.testing.assert_allclose(score, expected, err_msg=name, rtol=3e-5, atol=1e-5)


@pytest.mark.parametrize("name", metrics.REGRESSION)
def test_a_change_of_units_is_a_power_of_the_unit(name):
    metric = metrics.REGRESSION[name]
    rng = np.random.default_rng(4)
    outputs, targets = jnp.asarray(rng.normal(size=(2, 50, 1)).astype(np.float32))
    changed = metric(3.0 * outputs + 5.0, 3.0 * targets + 5.0)
    if metric.degree is None:
        assert name in ("loss", "mape")
    else:
        expected = 3.0**metric.degree * metric(outputs, targets)
        np.testing.assert_allclose(changed, expected, rtol=1e-4)


def of_labels(function, **options):
    return lambda logits, y: function(y, logits > 0, **options)


LABELS = {
    "loss": lambda logits, y: np.mean(
        [
            sk.log_loss(y[:, c], 1 / (1 + np.exp(-logits[:, c])), labels=[0, 1])
            for c in range(y.shape[1])
        ]
    ),
    "subset_accuracy": of_labels(sk.accuracy_score),
    "hamming_loss": of_labels(sk.hamming_loss),
    "average_precision": lambda logits, y: sk.average_precision_score(y, logits),
    "roc_auc": lambda logits, y: np.mean(
        [
            sk.roc_auc_score(y[:, c], logits[:, c])
            for c in range(y.shape[1])
            if 0 < y[:, c].sum() < len(y)
        ]
        or [0.5]
    ),
    **{
        f"{name}_{average}": of_labels(function, average=average, zero_division=0)
        for name, function in (
            ("precision", sk.precision_score),
            ("recall", sk.recall_score),
            ("f1", sk.f1_score),
        )
        for average in ("micro", "macro", "weighted", "samples")
    },
}


@functools.cache
def multilabel():
    assert set(LABELS) == set(metrics.MULTILABEL)
    return jax.jit(
        lambda logits, y: {name: metrics.MULTILABEL[name](logits, y) for name in LABELS}
    )


@settings(max_examples=25)
@given(
    seed=st.integers(0, 2**32 - 1),
    share=st.sampled_from([0.0, 0.05, 0.5, 1.0]),
    as_bool=st.booleans(),
    coarse=st.booleans(),
)
def test_several_labels_are_those_of_scikit_learn(seed, share, as_bool, coarse):
    rng = np.random.default_rng(seed)
    logits = 2 * rng.normal(size=(ROWS, 4)).astype(np.float32)
    logits = np.round(logits) if coarse else logits
    y = rng.random(logits.shape) < share
    y[:, 0] = rng.random(ROWS) < 0.5
    found = multilabel()(logits, y if as_bool else y.astype(np.float32))
    for name, score in found.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = LABELS[name](logits.astype(np.float64), y.astype(int))
        np.testing.assert_allclose(score, expected, err_msg=name, **CLOSE)
