"""Random changes of a batch that leave its meaning alone, with every rate traceable.

Each is a pure function (key, x, strength, probability) -> x of a batch for one member.
Draws are per example, ``key`` is consumed, and at strength 0 or probability 0 the
result is exactly ``x``. Images are f32[B, H, W, C], series f32[B, T, C] or f32[B, T].
"""

from evotune.augmentation._brightness import brightness
from evotune.augmentation._cutout import cutout
from evotune.augmentation._draws import amounts, switches
from evotune.augmentation._flip import flip
from evotune.augmentation._hyperparameters import BINDINGS, augment, check_augmentation
from evotune.augmentation._mixup import mixup, partners
from evotune.augmentation._noise import noise
from evotune.augmentation._rotate import rotate
from evotune.augmentation._sampling import bilinear, interpolate
from evotune.augmentation._scale import scale, scale_series
from evotune.augmentation._shift import shift, shift_series

__all__ = [
    "BINDINGS",
    "amounts",
    "augment",
    "bilinear",
    "brightness",
    "check_augmentation",
    "cutout",
    "flip",
    "interpolate",
    "mixup",
    "noise",
    "partners",
    "rotate",
    "scale",
    "scale_series",
    "shift",
    "shift_series",
    "switches",
]
