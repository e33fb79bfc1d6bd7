"""What is trained, written for one member: no population axis anywhere."""

from evotune.tasks._classification import Classification
from evotune.tasks._function import Function
from evotune.tasks._generation import FittedLanguageModel
from evotune.tasks._hyperparameters import (
    Hyperparameters,
    MissingHyperparameterError,
    whole_name,
)
from evotune.tasks._language_model import LanguageModel
from evotune.tasks._multi_task import MultiTask
from evotune.tasks._multilabel import MultiLabelClassification
from evotune.tasks._regression import Regression
from evotune.tasks._sparsity import WeightSparsity
from evotune.tasks._stream import Stream
from evotune.tasks._supervised import Supervised
from evotune.tasks._task import FittedModel, Task
from evotune.tasks._train_state import TrainState
from evotune.training import OPTIMIZERS, make_optimizer

__all__ = [
    "OPTIMIZERS",
    "Classification",
    "FittedLanguageModel",
    "FittedModel",
    "Function",
    "Hyperparameters",
    "LanguageModel",
    "MissingHyperparameterError",
    "MultiLabelClassification",
    "MultiTask",
    "Regression",
    "Stream",
    "Supervised",
    "Task",
    "TrainState",
    "WeightSparsity",
    "make_optimizer",
    "whole_name",
]
