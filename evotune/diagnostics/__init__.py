"""What recorded curves tell about trainings: measures, and rules that name a trouble.

Pure functions of numbers, in numpy: they work on a study that runs, on one that was
read back from its journal, and on trials of any other origin.
"""

from __future__ import annotations

from evotune.diagnostics._diagnosis import Diagnosis, Diagnostics, diagnose
from evotune.diagnostics._measures import (
    area,
    epochs_to,
    gap,
    noise,
    rise,
    roughness,
    tail,
)
from evotune.diagnostics._rules import FLAGS, Thresholds

__all__ = [
    "FLAGS",
    "Diagnosis",
    "Diagnostics",
    "Thresholds",
    "area",
    "diagnose",
    "epochs_to",
    "gap",
    "noise",
    "rise",
    "roughness",
    "tail",
]
