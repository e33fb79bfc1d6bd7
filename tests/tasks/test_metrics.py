"""Metrics as tasks use them: by name, of one's own, monitored, of every split."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn import metrics as sk

import evotune as et
from evotune.tasks import Classification, Hyperparameters, Regression

SPACE = et.Space(learning_rate=et.Float(1e-3, 3e-2, log=True), epochs=2)


def tune(task, n_trials=4, space=SPACE):
    algorithm = et.RandomSearch(batch_size=n_trials)
    return et.tune(task, space, algorithm=algorithm, n_trials=n_trials, progress=False)


def mlp():
    return et.models.MLP(width=8, depth=1)


def softmax(logits):
    logits = np.asarray(logits, np.float64)
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)


def bias(outputs, targets):
    return jnp.abs(jnp.mean(outputs - targets))


def share_of_class_one(outputs, targets):
    del targets
    return jnp.mean((jnp.argmax(outputs, axis=-1) == 1).astype(jnp.float32))


def checked_with_scikit_learn(result, expected, part, prefix):
    """Compares the winner's last epoch, or test scores, with its own predictions."""
    logits = np.asarray(result.best_model().predict(part.x))
    if prefix == "test":
        found = result.test_metrics()
    else:
        found = {name: curve[-1] for name, curve in result.best.curves.items()}
    for name, function in expected.items():
        score = found[f"{prefix}_{name}"]
        assert score == pytest.approx(function(part.y, logits), abs=2e-5), name


BY_CLASS = {
    "accuracy": lambda y, z: sk.accuracy_score(y, z.argmax(1)),
    "loss": lambda y, z: sk.log_loss(y, softmax(z)),
    "f1_macro": lambda y, z: sk.f1_score(y, z.argmax(1), average="macro"),
    "roc_auc": lambda y, z: sk.roc_auc_score(y, softmax(z), multi_class="ovr"),
    "matthews": lambda y, z: sk.matthews_corrcoef(y, z.argmax(1)),
    "share_of_class_one": lambda y, z: np.mean(z.argmax(1) == 1),
}


@pytest.mark.parametrize("metric", ["f1_macro", "roc_auc"])
def test_a_search_by_any_metric_records_what_scikit_learn_computes(metric):
    task = Classification(
        et.datasets.wine(),
        model=mlp(),
        metric=metric,
        monitor=["roc_auc", "f1_macro", "matthews", share_of_class_one],
        train_metrics=True,
    )
    assert (task.metric, task.direction) == (f"val_{metric}", "maximize")
    result = tune(task)
    curves = {f"{split}_{name}" for split in ("train", "val") for name in BY_CLASS}
    curves |= {"train_evaluated_loss"}
    assert set(result.best.curves) == curves == set(task.records)
    assert result.best_value == max(
        t.curves[f"val_{metric}"][-1] for t in result.trials
    )
    checked_with_scikit_learn(result, BY_CLASS, task.splits.validation, "val")
    checked_with_scikit_learn(result, BY_CLASS, task.splits.test, "test")
    assert set(result.test_metrics()) == {f"test_{name}" for name in BY_CLASS}
    of_training = {
        name.replace("loss", "evaluated_loss"): f for name, f in BY_CLASS.items()
    }
    checked_with_scikit_learn(result, of_training, task.splits.train, "train")


def test_a_metric_of_ones_own_is_searched_in_its_direction():
    own = et.metrics.Metric(
        lambda outputs, targets: jnp.mean(jnp.square(jax.nn.softmax(outputs))),
        "minimize",
        name="peakedness",
    )
    task = Classification(et.datasets.wine(), model=mlp(), metric=own)
    result = tune(task)
    assert (result.metric, result.direction) == ("val_peakedness", "minimize")
    assert result.best_value == min(trial.value for trial in result.trials)
    p = softmax(result.best_model().predict(task.splits.validation.x))
    assert result.best_value == pytest.approx(np.mean(p**2), abs=1e-5)


def test_models_of_ones_own_record_the_same():
    from flax import linen

    task = Classification(
        et.datasets.wine(),
        model=lambda info: linen.Dense(info.num_outputs),
        metric="balanced_accuracy",
        train_metrics=50,
    )
    assert task.records is None
    names = ("accuracy", "balanced_accuracy", "loss")
    curves = {f"{split}_{name}" for split in ("train", "val") for name in names}
    curves |= {"train_evaluated_loss"}
    result = tune(task, n_trials=2)
    assert set(result.best.curves) == curves
    part = task.splits.train
    logits = np.asarray(result.best_model().predict(part.x[:50]))
    expected = sk.balanced_accuracy_score(part.y[:50], logits.argmax(1))
    found = result.best.curves["train_balanced_accuracy"][-1]
    assert found == pytest.approx(expected, abs=1e-5)


def test_defaults_record_what_they_always_did():
    task = Classification(et.datasets.wine(), model=mlp())
    assert set(task.records) == {"train_loss", "val_accuracy", "val_loss"}
    assert task.train_rows == 0
    state = task.init(Hyperparameters({}), jax.random.key(0))
    scores = task.evaluate(Hyperparameters({}), state, task.data())
    assert set(scores) == {"val_accuracy", "val_loss"}
    regression = Regression(et.datasets.diabetes(), model=mlp())
    scores = {f"val_{name}" for name in ("loss", "rmse", "mae", "r2")}
    assert set(regression.records) == {"train_loss", *scores}


def test_regression_scores_have_their_units():
    task = Regression(
        et.datasets.diabetes(),
        model=mlp(),
        metric="mape",
        monitor=["mse", "max_error", "median_absolute_error", bias],
        train_metrics=True,
    )
    result = tune(task)
    expected = {
        "rmse": lambda y, z: sk.root_mean_squared_error(y, z),
        "mae": lambda y, z: sk.mean_absolute_error(y, z),
        "r2": lambda y, z: sk.r2_score(y, z),
        "mse": lambda y, z: sk.mean_squared_error(y, z),
        "mape": lambda y, z: sk.mean_absolute_percentage_error(y, z),
        "max_error": lambda y, z: sk.max_error(y, z),
        "median_absolute_error": lambda y, z: sk.median_absolute_error(y, z),
        "bias": lambda y, z: abs(np.mean(z - y)),
    }
    test = task.splits.test
    outputs = np.asarray(result.best_model().predict(test.x), np.float64)
    for name, function in expected.items():
        found = result.test_metrics()[f"test_{name}"]
        assert found == pytest.approx(function(test.y, outputs), rel=1e-4), name
    train = {f"train_{name}" for name in expected}
    assert train <= set(result.best.curves)


def test_targets_without_a_common_unit_stay_scaled():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 3))
    y = np.stack([x[:, 0], 100 * x[:, 1] + 7], axis=1)
    task = Regression(et.datasets.arrays(x, y), model=mlp(), monitor=["mse", bias])
    targets = jnp.asarray(task.targets(y.astype(np.float32)))
    scores = task.measure(targets + 0.1, targets)
    assert scores["mse"] == pytest.approx(0.01, rel=1e-3)
    assert scores["rmse"] == pytest.approx(0.1, rel=1e-3)
    unit = np.mean(task.target_scaler.scale)
    assert scores["bias"] == pytest.approx(0.1 * unit, rel=1e-3)


def test_class_weights_weigh_the_loss_that_training_minimises():
    data = et.datasets.breast_cancer()
    plain, balanced, chosen = (
        Classification(data, model=mlp(), class_weight=weight)
        for weight in (None, "balanced", {"malignant": 3.0})
    )
    from sklearn.utils.class_weight import compute_class_weight

    y = plain.splits.train.y
    expected = compute_class_weight("balanced", classes=np.arange(2), y=y)
    np.testing.assert_allclose(balanced.class_weights, expected, rtol=1e-6)
    assert chosen.class_weights.tolist() == [3.0, 1.0]
    rng = np.random.default_rng(0)
    outputs = jnp.asarray(rng.normal(size=(len(y), 2)).astype(np.float32))
    for hp in (Hyperparameters({}), Hyperparameters({"label_smoothing": 0.0})):
        for task, weights in ((balanced, expected), (chosen, np.asarray([3.0, 1.0]))):
            weighted = np.sum(
                -np.log(softmax(outputs)[np.arange(len(y)), y]) * weights[y]
            )
            found = task.loss(hp, outputs, jnp.asarray(y))
            assert found == pytest.approx(weighted / len(y), rel=1e-5)
    labels = jnp.asarray(y)
    assert balanced.measure(outputs, labels) == plain.measure(outputs, labels)
    result = tune(balanced, n_trials=2)
    assert result.best_value > 0.5


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"metric": "f1_makro"}, r"must be one of.*Did you mean 'f1_macro'"),
        ({"metric": share_of_class_one}, r"needs the direction.*Metric\(fn"),
        ({"metric": 3}, r"must be a name such as"),
        ({"metric": "f1"}, r"there are 3 classes.*f1_macro"),
        ({"monitor": ["rocauc"]}, r"Did you mean 'roc_auc'"),
        ({"monitor": "roc_auc"}, r"monitor must be a list"),
        ({"monitor": [lambda outputs, targets: 0.0]}, r"must be an identifier"),
        (
            {"monitor": [et.metrics.Metric(bias, "minimize", name="accuracy")]},
            r"'accuracy' stands for two",
        ),
        ({"monitor": [bias]}, r"'bias' cannot be computed"),
        ({"monitor": [sk.accuracy_score]}, r"'accuracy_score' cannot be computed"),
        (
            {"monitor": [et.metrics.Metric(et.metrics.confusion_matrix, "maximize")]},
            r"must return a scalar.*\(3, 3\)",
        ),
        ({"train_metrics": 0.5}, r"train_metrics must be True, False or a number"),
        ({"train_metrics": 0}, r"train_metrics must be True, False or a number"),
        ({"class_weight": "balance"}, r"'balanced' or a mapping"),
        ({"class_weight": {"clas_0": 1.0, "class_1": -1.0}}, r"2 problems"),
        ({"class_weight": {f"class_{c}": 0.0 for c in range(3)}}, r"all are 0"),
    ],
)
def test_what_does_not_fit_is_an_error_at_once(options, words):
    with pytest.raises(et.HyperparameterError, match=words):
        Classification(et.datasets.wine(), model=mlp(), **options)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((bias, "up"), r"must be 'maximize' or 'minimize'"),
        (("f1_macro", "maximize"), r"must be callable"),
        ((lambda outputs, targets: 0.0, "maximize"), r"must be an identifier"),
        ((bias, "minimize", "my score"), r"must be an identifier"),
    ],
)
def test_a_metric_that_makes_no_sense_is_an_error(arguments, words):
    with pytest.raises(et.HyperparameterError, match=words):
        et.metrics.Metric(*arguments)


def several_labels():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 5)).astype(np.float32)
    y = np.stack([x[:, 0] > 0, x[:, 1] > 0.5, x[:, 0] + x[:, 2] > 1], axis=1)
    return et.datasets.arrays(x, y.astype(np.float32), regression=True)


def test_several_labels_are_learned_and_scored():
    task = et.tasks.MultiLabelClassification(
        several_labels(),
        model=mlp(),
        metric="f1_macro",
        monitor=["roc_auc", "subset_accuracy"],
    )
    space = et.Space(learning_rate=et.Float(0.03, 0.1), epochs=10, batch_size=20)
    result = tune(task, space=space)
    assert result.best_value > 0.8
    expected = {
        "f1_macro": lambda y, z: sk.f1_score(y, z > 0, average="macro"),
        "f1_micro": lambda y, z: sk.f1_score(y, z > 0, average="micro"),
        "roc_auc": lambda y, z: sk.roc_auc_score(y, z),
        "subset_accuracy": lambda y, z: sk.accuracy_score(y, z > 0),
    }
    checked_with_scikit_learn(result, expected, task.splits.validation, "val")
    checked_with_scikit_learn(result, expected, task.splits.test, "test")


def test_targets_that_are_no_labels_are_an_error():
    with pytest.raises(et.DataError, match=r"must be 0 or 1"):
        et.tasks.MultiLabelClassification(et.datasets.diabetes())
    with pytest.raises(et.DataError, match=r"one class for each example"):
        et.tasks.MultiLabelClassification(et.datasets.wine())


def test_training_metrics_are_those_of_the_averaged_weights():
    task = Classification(
        et.datasets.wine(), model=mlp(), monitor=["perplexity"], train_metrics=True
    )
    space = et.Space(learning_rate=et.Float(0.01, 0.1), ema=0.99, epochs=2)
    result = tune(task, 4, space)
    part = task.splits.train
    logits = np.asarray(result.best_model().predict(part.x))
    expected = np.exp(sk.log_loss(part.y, softmax(logits)))
    recorded = result.best.curves["train_perplexity"][-1]
    assert float(recorded) == pytest.approx(expected, rel=1e-4)
