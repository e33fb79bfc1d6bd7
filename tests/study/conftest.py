"""Fixtures of the study's tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evotune.space import Space
from evotune.study import Study
from tests.study.fakes import MiniSearch, make_space


@pytest.fixture
def space() -> Space:
    return make_space()


@pytest.fixture
def make_study(space: Space, tmp_path: Path) -> Callable[..., Study]:
    """A study of the fakes; ``stored=True`` puts it into the test's directory."""

    def make(*, stored: bool = False, **options: Any) -> Study:
        defaults: dict[str, Any] = {"algorithm": MiniSearch(), "direction": "maximize"}
        if stored:
            defaults["storage"] = tmp_path
        return Study(space, **{**defaults, **options})

    return make
