"""Tools that are not installed are named when they are asked for."""

from __future__ import annotations

import importlib
import sys

import pytest

from evotune._errors import MissingExtraError

TOOLS = {"configspace": "ConfigSpace", "evosax": "evosax", "optuna": "optuna"}


@pytest.mark.parametrize("name", TOOLS)
def test_a_missing_tool_is_named_with_the_command_that_installs_it(
    name, monkeypatch
) -> None:
    monkeypatch.setitem(sys.modules, TOOLS[name], None)
    monkeypatch.delitem(sys.modules, f"evotune.integrations.{name}", raising=False)
    with pytest.raises(MissingExtraError, match=rf"'evotune\[{name}\]'") as caught:
        importlib.import_module(f"evotune.integrations.{name}")
    assert TOOLS[name] in str(caught.value)
