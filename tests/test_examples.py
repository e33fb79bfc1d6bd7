"""The examples run from end to end, in their tiny form."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[1] / "scripts" / "examples"


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda p: p.stem)
def test_an_example_runs_and_prints_its_result(path, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(path), "--tiny"])
    runpy.run_path(str(path), run_name="__main__")
    printed = capsys.readouterr().out
    assert "Result: " in printed
    score = re.search(r"test (?:accuracy|perplexity) ([\d.]+)", printed, re.IGNORECASE)
    assert score is not None
    assert float(score[1]) > 0.0


def test_without_fashion_mnist_the_example_says_how_to_get_it(monkeypatch, tmp_path):
    path = FOLDER / "fashion_mnist_resnet.py"
    monkeypatch.setattr(sys, "argv", [str(path), "--data", str(tmp_path)])
    with pytest.raises(SystemExit, match=r"(?s)dataset-fashion-mnist.*--data FOLDER"):
        runpy.run_path(str(path), run_name="__main__")
