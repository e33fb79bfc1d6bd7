"""A journal of each schema that there ever was is read, and continued, for ever."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from evotune.algorithms import RandomSearch
from evotune.study import Study
from evotune.study._header import SCHEMA_VERSION
from evotune.study._journal import FILE_NAME
from tests.study.fakes import FakeEngine, MiniSearch, make_space

DATA = Path(__file__).parent / "data"
STUDIES: dict[int, dict[str, Any]] = {
    1: {"algorithm": MiniSearch(batch_size=4), "direction": "maximize"},
    2: {
        "algorithm": RandomSearch(batch_size=3),
        "directions": ["minimize", "maximize"],
    },
    3: {"algorithm": MiniSearch(batch_size=3), "direction": "maximize", "repeats": 2},
}
"""What each was recorded with, beside its space and seed."""


def recorded(schema: int) -> tuple[Study, dict[str, Any]]:
    """The study of a journal, and what it was when that was written."""
    name = f"schema-{schema}"
    expected = json.loads((DATA / name / "expected.json").read_text())
    return Study.load(DATA, name), expected


def fact(trial: Any, name: str) -> Any:
    """An attribute of a trial as JSON has it."""
    if name == "curves":
        return {key: curve.tolist() for key, curve in trial.curves.items()}
    value = trial.state.name if name == "state" else getattr(trial, name)
    return list(value) if isinstance(value, tuple) else value


def test_there_is_a_journal_of_each_schema() -> None:
    assert list(STUDIES) == list(range(1, SCHEMA_VERSION + 1))
    for schema in STUDIES:
        lines = (DATA / f"schema-{schema}" / FILE_NAME).read_text().splitlines()
        assert json.loads(lines[0])["schema_version"] == schema


@pytest.mark.parametrize("schema", STUDIES)
def test_journals_load_for_ever(schema) -> None:
    study, expected = recorded(schema)
    found = [
        {name: fact(trial, name) for name in one}
        for trial, one in zip(study.trials, expected["trials"], strict=True)
    ]
    assert str(found) == str(expected["trials"])
    if schema == 2:
        assert [trial.number for trial in study.best_trials] == expected["best_trials"]
        assert list(study.directions) == expected["directions"]
    else:
        assert study.best_value == expected["best_value"]
        assert study.metric == "val_accuracy"
    assert study.repeats == STUDIES[schema].get("repeats", 1)


@pytest.mark.parametrize("schema", STUDIES)
def test_journals_can_be_continued(schema, tmp_path) -> None:
    name = f"schema-{schema}"
    data = (DATA / name / FILE_NAME).read_bytes()
    copy = tmp_path / name / FILE_NAME
    copy.parent.mkdir()
    copy.write_bytes(data)
    space, settings = make_space(), STUDIES[schema]
    study = Study(
        space, seed=11, storage=tmp_path, study_name=name, resume=True, **settings
    )
    before, size = len(study), settings["algorithm"].batch_size
    if schema == 2:
        study.tell(study.ask(), [0.1, 0.2])
        assert len(study) == before + 1
    else:
        rows = size * settings.get("repeats", 1)
        study.run(FakeEngine(space, rows=rows), generations=4, progress=False)
        assert len(study) >= 4 * size > before
    assert copy.read_bytes().startswith(data)
