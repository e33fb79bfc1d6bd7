"""Scores of a whole split for one member: functions of outputs and targets.

Classification takes logits f32[N, C] and labels i32[N], regression outputs and targets
f32[N, K], several labels logits f32[N, L] and targets [N, L] of zeros and ones. Numbers
are those of scikit-learn, and finite where outputs are; what they are where
scikit-learn raises or warns stands with each. Those that take ``sample_weight`` there
take it here, f32[N] of at least 0. Tasks find them by name in
`CLASSIFICATION`, `REGRESSION` and `MULTILABEL`.
"""

from evotune.metrics._calibration import brier_score, expected_calibration_error
from evotune.metrics._classification import (
    accuracy,
    balanced_accuracy,
    cross_entropy,
    f1,
    log_loss,
    perplexity,
    precision,
    recall,
    top_k_accuracy,
)
from evotune.metrics._confusion import cohen_kappa, confusion_matrix, matthews
from evotune.metrics._metric import Metric
from evotune.metrics._multilabel import (
    binary_cross_entropy,
    hamming_loss,
    multilabel_average_precision,
    multilabel_f1,
    multilabel_precision,
    multilabel_recall,
    multilabel_roc_auc,
    subset_accuracy,
)
from evotune.metrics._ranking import average_precision, roc_auc
from evotune.metrics._registry import CLASSIFICATION, MULTILABEL, REGRESSION, find
from evotune.metrics._regression import (
    max_error,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    median_absolute_error,
    r2,
    root_mean_squared_error,
)
from evotune.metrics._weights import weighted_mean

__all__ = [
    "CLASSIFICATION",
    "MULTILABEL",
    "REGRESSION",
    "Metric",
    "accuracy",
    "average_precision",
    "balanced_accuracy",
    "binary_cross_entropy",
    "brier_score",
    "cohen_kappa",
    "confusion_matrix",
    "cross_entropy",
    "expected_calibration_error",
    "f1",
    "find",
    "hamming_loss",
    "log_loss",
    "matthews",
    "max_error",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "median_absolute_error",
    "multilabel_average_precision",
    "multilabel_f1",
    "multilabel_precision",
    "multilabel_recall",
    "multilabel_roc_auc",
    "perplexity",
    "precision",
    "r2",
    "recall",
    "roc_auc",
    "root_mean_squared_error",
    "subset_accuracy",
    "top_k_accuracy",
    "weighted_mean",
]
