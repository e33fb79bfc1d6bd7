"""Families of networks to tune, and adapters for users' own Flax modules."""

from evotune.models._cnn import CNN
from evotune.models._cnn_module import CNNModule
from evotune.models._describe import (
    DescribedLayer,
    Description,
    describe,
    parameter_count,
)
from evotune.models._mlp import MLP
from evotune.models._mlp_module import MLPModule
from evotune.models._network import Info, Model, Network, Variables
from evotune.models._precision import (
    PRECISIONS,
    MixedPrecision,
    Precision,
    check_precision,
    in_precision,
)
from evotune.models._resnet import ResNet
from evotune.models._resnet_module import ResNetModule
from evotune.models._rnn import RNN, RNNModule
from evotune.models._transformer import Transformer
from evotune.models._transformer_module import TransformerModule
from evotune.models._user import UserModel, as_model

__all__ = [
    "CNN",
    "MLP",
    "PRECISIONS",
    "RNN",
    "CNNModule",
    "DescribedLayer",
    "Description",
    "Info",
    "MLPModule",
    "MixedPrecision",
    "Model",
    "Network",
    "Precision",
    "RNNModule",
    "ResNet",
    "ResNetModule",
    "Transformer",
    "TransformerModule",
    "UserModel",
    "Variables",
    "as_model",
    "check_precision",
    "describe",
    "in_precision",
    "parameter_count",
]
