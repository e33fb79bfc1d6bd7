"""What does the quickstart take and reach? Five seeds, each in a fresh process.

Command:   python -m benchmarks.quickstart              (--tiny for half a minute)
Hardware:  CPU; the committed figures are of two cores.
Time:      about 5 minutes on two cores.
Result:    benchmarks/results/quickstart.json, and the table that it prints.

Seconds are from the start of the process to its end, imports, compiling, plots and the
report included; installing is not.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks._harness import ROOT, hardware, write_result


def one(seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """Runs the quickstart's script and reads what it wrote."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "scripts/quickstart.py", "--seed", str(seed)]
        command += ["--generations", str(options.generations), "--out", folder]
        command += ["--population", str(options.population)]
        command += ["--epochs", str(options.epochs)]
        start = time.perf_counter()
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, check=False
        )
        seconds = time.perf_counter() - start
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr}")
        summary = Path(folder) / f"seed{seed}" / "summary.json"
        return {"seed": seed, "process_seconds": seconds} | json.loads(
            summary.read_text(encoding="utf-8")
        )


def main() -> None:
    options = parse()
    described = hardware()
    runs = []
    for seed in range(options.seeds):
        runs.append(one(seed, options))
        print(
            f"seed {seed}: {runs[-1]['trainings']} trainings in "
            f"{runs[-1]['process_seconds']:.1f} s, {runs[-1]['programs']} programs, "
            f"validation {runs[-1]['validation_accuracy']:.4f}, "
            f"test {runs[-1]['test_accuracy']:.4f}",
            flush=True,
        )
    figures = {
        "mean_test_accuracy": statistics.mean(run["test_accuracy"] for run in runs),
        "most_seconds": max(run["process_seconds"] for run in runs),
        "most_programs": max(run["programs"] for run in runs),
        "fewest_trainings": min(run["trainings"] for run in runs),
        "runs": runs,
    }
    print(
        f"mean test accuracy {figures['mean_test_accuracy']:.4f}, "
        f"at most {figures['most_seconds']:.1f} s"
    )
    if not options.tiny:
        path = write_result(
            "quickstart", figures, settings=vars(options), described=described
        )
        print(f"Written to {path.relative_to(path.parents[2])}")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--generations", type=int, default=8)
    parser.add_argument("--population", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--tiny", action="store_true", help="half a minute")
    options = parser.parse_args()
    if options.tiny:
        options.seeds, options.generations = 1, 2
        options.population, options.epochs = 4, 1
    return options


if __name__ == "__main__":
    main()
