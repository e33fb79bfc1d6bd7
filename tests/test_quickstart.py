"""The first command of the README, as a newcomer runs it: nothing is there yet."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def quickstart(folder, *options):
    command = [sys.executable, str(ROOT / "scripts" / "quickstart.py"), *options]
    tiny = ["--population", "4", "--epochs", "1"]
    done = subprocess.run(
        [*command, *tiny],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_quickstart_works_in_an_empty_folder_and_goes_on(tmp_path):
    printed = quickstart(tmp_path, "--generations", "1")
    for words in ("Best of 4 trainings", "test accuracy", "Go on with:"):
        assert words in printed
    folder = tmp_path / "runs" / "quickstart" / "seed0"
    for name in ("report.html", "history.png", "curves.png", "summary.json"):
        assert (folder / name).stat().st_size > 0
    assert "Best of 8 trainings" in quickstart(tmp_path, "--generations", "2")
