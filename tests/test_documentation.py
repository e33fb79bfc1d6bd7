"""What the documentation shows runs: doctests, and the code of README and docs/."""

from __future__ import annotations

import doctest
import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in (ROOT / "evotune").rglob("*.py")
    if ">>> " in path.read_text(encoding="utf-8")
)
EXTRAS = {"configspace": "ConfigSpace", "evosax": "evosax", "optuna": "optuna"}
"""What modules of `evotune.integrations` need, by the first word of their names."""

# Blocks of one page run in order and share their names. A block after a line with
# `<!-- not run: why -->` is not run.
BLOCK = re.compile(
    r"(?P<skip><!-- not run:.*?-->\s*)?^```python\n(?P<code>.*?)^```",
    re.MULTILINE | re.DOTALL,
)
PAGES = [
    path
    for path in sorted([ROOT / "README.md", *(ROOT / "docs").glob("**/*.md")])
    if path.exists() and BLOCK.search(path.read_text(encoding="utf-8"))
]


@pytest.mark.parametrize("name", MODULES)
def test_doctests(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    if package := EXTRAS.get(name.removeprefix("evotune.integrations._").split("_")[0]):
        pytest.importorskip(package)
    module = importlib.import_module(name)
    monkeypatch.chdir(tmp_path)  # what an example writes stays here
    options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    report: list[str] = []
    runner = doctest.DocTestRunner(optionflags=options, verbose=False)
    for test in doctest.DocTestFinder().find(module, name):
        runner.run(test, out=report.append)
    assert runner.failures == 0, "".join(report)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_code_of_pages_runs(path: Path, tmp_path: Path) -> None:
    blocks = [
        match["code"]
        for match in BLOCK.finditer(path.read_text(encoding="utf-8"))
        if not match["skip"]
    ]
    script = tmp_path / f"{path.stem}.py"
    script.write_text("\n".join(blocks), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", str(script)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": "agg"},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
