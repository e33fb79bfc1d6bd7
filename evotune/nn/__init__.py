"""Layers whose sizes, rates and choices may be traced: the padded half of evotune.

With plain Python values they are ordinary Flax linen layers.
"""

from evotune.nn._activations import ACTIVATIONS, activation
from evotune.nn._attention import Embed, MultiHeadAttention, sinusoids
from evotune.nn._conv import Conv
from evotune.nn._conv_general import CONVOLUTION, conv_general_dilated
from evotune.nn._dense import Dense
from evotune.nn._drop_path import DropPath, drop_path
from evotune.nn._dropout import Dropout, dropout, unit_dropout
from evotune.nn._initializers import lecun_normal, lecun_normals, orthogonal
from evotune.nn._kernels import KernelShape, conv_normals, first_tap
from evotune.nn._norms import (
    NORMS,
    BatchNorm,
    LayerNorm,
    Norm,
    RMSNorm,
    norm_kinds,
    norm_params,
    norm_scale,
)
from evotune.nn._penalties import absolute_sum
from evotune.nn._pool import POOLS, pool, reduce_windows
from evotune.nn._squeeze_excitation import SqueezeExcitation
from evotune.nn._traced import (
    Choice,
    InUse,
    Size,
    active,
    capacity,
    in_use,
    select,
    unit_mask,
)

__all__ = [
    "ACTIVATIONS",
    "CONVOLUTION",
    "NORMS",
    "POOLS",
    "BatchNorm",
    "Choice",
    "Conv",
    "Dense",
    "DropPath",
    "Dropout",
    "Embed",
    "InUse",
    "KernelShape",
    "LayerNorm",
    "MultiHeadAttention",
    "Norm",
    "RMSNorm",
    "Size",
    "SqueezeExcitation",
    "absolute_sum",
    "activation",
    "active",
    "capacity",
    "conv_general_dilated",
    "conv_normals",
    "drop_path",
    "dropout",
    "first_tap",
    "in_use",
    "lecun_normal",
    "lecun_normals",
    "norm_kinds",
    "norm_params",
    "norm_scale",
    "orthogonal",
    "pool",
    "reduce_windows",
    "select",
    "sinusoids",
    "unit_dropout",
    "unit_mask",
]
