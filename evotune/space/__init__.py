"""What may vary: dimensions, conditions and constants, and their codec to [0, 1]^D."""

from __future__ import annotations

from evotune.space._choices import Bool, Categorical
from evotune.space._dimension import Dimension
from evotune.space._float import Float
from evotune.space._forbidden import Forbidden
from evotune.space._int import Int
from evotune.space._ordinal import Ordinal
from evotune.space._permutation import Permutation
from evotune.space._prior import Beta, Normal
from evotune.space._space import Space

__all__ = [
    "Beta",
    "Bool",
    "Categorical",
    "Dimension",
    "Float",
    "Forbidden",
    "Int",
    "Normal",
    "Ordinal",
    "Permutation",
    "Space",
]
