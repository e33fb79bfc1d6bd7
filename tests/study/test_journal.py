"""What is on disk: whole after any death, refused where it is another study's."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from evotune._errors import EvotuneError, JournalError
from evotune.space import Categorical, Float, Int, Space
from evotune.study import Study, TrialState, _journal, create_trial
from evotune.study._journal import FILE_NAME, read
from tests.study.fakes import FakeEngine, MiniSearch, checksum, facts

ROOT = Path(__file__).resolve().parents[2]


def journal_of(tmp_path: Path, name: str = "study") -> Path:
    return tmp_path / name / FILE_NAME


def test_a_recorded_study_loads_as_it_was(make_study, space, tmp_path):
    study = make_study(stored=True)
    study.enqueue_trial({"width": 40}, user_attrs={"note": "é", "list": [1, None]})
    study.run(FakeEngine(space, diverge=0.7), generations=2, progress=False)
    study.add_trial(create_trial(params=study.best_params, value=0.1 + 0.2))
    study.tell(study.ask(), state=TrialState.PRUNED)
    loaded = Study.load(tmp_path)
    assert facts(loaded)[:-1] == facts(study)[:-1]
    assert loaded.trials[:16] == study.trials[:16], "times included"
    assert loaded.trials[-1].state is study.trials[-1].state
    assert loaded.best_trial == study.best_trial
    assert loaded.space.fingerprint == space.fingerprint
    assert (loaded.direction, loaded.seed, loaded.metric) == (
        "maximize",
        0,
        "val_accuracy",
    )
    with pytest.raises(EvotuneError, match="for reading"):
        loaded.ask()
    with pytest.raises(EvotuneError, match="for reading"):
        loaded.add_trial(create_trial(params=study.best_params, value=1.0))


def test_every_line_is_strict_json(make_study, space, tmp_path):
    study = make_study(stored=True)
    study.run(FakeEngine(space, diverge=0.5), generations=2, progress=False)

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} in the journal")

    lines = journal_of(tmp_path).read_text().splitlines()
    events = [json.loads(line, parse_constant=refuse)["event"] for line in lines]
    assert events[:4] == ["header", "ran", "asked", "started"]
    assert set(events[4:]) == {"told", "asked", "started"}


def test_resuming_goes_on_bit_for_bit(make_study, space):
    whole = make_study()
    whole.run(FakeEngine(space), generations=5, progress=False)
    for trials in (1, 8, 13, 40):
        name = f"n{trials}"
        study = make_study(stored=True, study_name=name)
        study.run(FakeEngine(space), n_trials=trials, progress=False)
        study.close()
        again = make_study(stored=True, study_name=name, resume=True)
        again.run(FakeEngine(space), generations=5, progress=False)
        assert facts(again) == facts(whole)
        assert checksum(again) == checksum(whole)


def test_a_half_recorded_generation_trains_only_what_is_missing(
    make_study, space, tmp_path
):
    study = make_study(stored=True)
    study.run(FakeEngine(space), generations=2, progress=False)
    study.close()
    path = journal_of(tmp_path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-2]))
    told = [json.loads(line) for line in lines[:-2] if b'"told"' in line]
    recorded = {trial for line in told for trial in line["trial"]}
    again = make_study(stored=True, resume=True)
    assert {t.number for t in again.trials if t.state is TrialState.WAITING} == (
        set(range(16)) - recorded
    )
    engine = FakeEngine(space)
    again.run(engine, generations=2, progress=False)
    assert engine.submitted == sorted(set(range(16)) - recorded)
    assert facts(again) == facts(study)
    assert checksum(again) == checksum(study)


def test_asking_by_hand_resumes_with_what_was_out(make_study):
    study = make_study(stored=True)
    trials = study.ask(5)
    study.tell(trials[1:3], [0.25, 0.5])
    others = study.ask(2)
    study.close()
    again = make_study(stored=True, resume=True)
    late = again.tell(0, 0.75)
    assert late.params == trials[0].params, "a worker may come home after the restart"
    assert again.ask(4) == [*trials[3:], *others]


@pytest.fixture
def no_sync(monkeypatch):
    """Dozens of studies on a slow disk: what is tested is not the power supply."""
    monkeypatch.setattr(_journal, "_sync", lambda descriptor: None)


def test_torn_ends_are_cut_at_every_byte(make_study, space, tmp_path, no_sync):
    small = MiniSearch(batch_size=3)
    study = make_study(stored=True, algorithm=small)
    study.run(FakeEngine(space, rows=3, lanes=2), generations=1, progress=False)
    study.close()
    data = journal_of(tmp_path).read_bytes()
    ends = [i + 1 for i, byte in enumerate(data) if byte == ord("\n")]
    torn = tmp_path / "torn.jsonl"
    for size in range(len(data)):
        torn.write_bytes(data[:size])
        header, events, kept = read(torn)
        assert kept == max([end for end in ends if end <= size], default=0)
        assert (header is None) == (kept == 0)
        assert len(events) == max(0, data[:kept].count(b"\n") - 1)
    for size in [*ends[:-1], *(end - 7 for end in ends), ends[-1] - 1]:
        name = f"torn{size}"
        journal_of(tmp_path, name).parent.mkdir()
        journal_of(tmp_path, name).write_bytes(data[:size])
        options = {"algorithm": small, "stored": True, "study_name": name}
        again = make_study(resume=True, **options)
        again.run(FakeEngine(space, rows=3, lanes=2), generations=1, progress=False)
        assert facts(again) == facts(study)
        assert checksum(again) == checksum(study)
        again.close()
        assert facts(Study.load(tmp_path, name)) == facts(study)


def test_garbage_behind_a_newline_is_torn_too_but_not_in_the_middle(
    make_study, space, tmp_path
):
    study = make_study(stored=True)
    study.run(FakeEngine(space), generations=1, progress=False)
    study.close()
    path = journal_of(tmp_path)
    data = path.read_bytes()
    path.write_bytes(data + b"\0\0\0\0\n")
    again = make_study(stored=True, resume=True)
    again.close()
    assert path.read_bytes() == data
    lines = data.splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:3], lines[3][:10] + b"\n", *lines[4:]]))
    with pytest.raises(JournalError, match=r"Line 4 of .* is damaged"):
        make_study(stored=True, resume=True)
    path.write_bytes(b"".join([*lines[:2], *lines[3:]]))
    with pytest.raises(JournalError, match="does not follow"):
        make_study(stored=True, resume=True)


SCRIPT = """
import sys
from pathlib import Path
from evotune.study import Study
from tests.study.fakes import FakeEngine, MiniSearch, make_space
space = make_space()
study = Study(space, algorithm=MiniSearch(), direction="maximize",
              storage=sys.argv[1], resume=True)
say = lambda *_: print("going", flush=True)
study.run(FakeEngine(space, pause=0.004), generations=25, progress=False,
          callbacks=[say])
print("done", flush=True)
"""


def test_kill_9_at_any_instant_loses_nothing(make_study, space, tmp_path):
    whole = make_study()
    whole.run(FakeEngine(space), generations=25, progress=False)
    instants = random.Random(7)
    for _ in range(3):
        process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", SCRIPT, str(tmp_path)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "going"
        time.sleep(instants.uniform(0.0, 0.15))
        os.kill(process.pid, signal.SIGKILL)
        process.stdout.close()
        assert process.wait() == -signal.SIGKILL
    recorded = len(Study.load(tmp_path).trials)
    assert 0 < recorded < 200
    study = make_study(stored=True, resume=True)
    state = study.best_state(FakeEngine(space))
    assert int(state["step"]) == study.best_trial.number
    study.run(FakeEngine(space), generations=25, progress=False)
    assert facts(study) == facts(whole)
    assert checksum(study) == checksum(whole)


def test_the_best_state_survives(make_study, space, tmp_path):
    study = make_study(stored=True)
    study.run(FakeEngine(space), generations=2, progress=False)
    expected = study.best_state(FakeEngine(space))
    study.close()
    files = sorted(path.name for path in (tmp_path / "study").iterdir())
    best = f"best-{study.best_trial.number}.msgpack"
    assert files == [best, FILE_NAME, "lock"]
    again = make_study(stored=True, resume=True)
    engine = FakeEngine(space)
    state = again.best_state(engine)
    assert engine.submitted == [], "read from the disk, not trained"
    assert state["params"]["w"].tobytes() == expected["params"]["w"].tobytes()
    again.close()
    (tmp_path / "study" / best).unlink()
    third = make_study(stored=True, resume=True)
    state = third.best_state(engine)
    assert engine.submitted == [third.best_trial.number], "trained again"
    assert state["params"]["w"].tobytes() == expected["params"]["w"].tobytes()
    third.run(FakeEngine(space), generations=4, progress=False)


def test_another_study_is_refused_by_name(make_study, space, tmp_path):
    study = make_study(stored=True)
    study.run(FakeEngine(space), generations=1, progress=False)
    study.close()
    before = journal_of(tmp_path).read_bytes()
    for options, message in [
        ({"resume": False}, "resume=True"),
        ({"seed": 1}, "another seed: recorded 0, now 1"),
        ({"direction": "minimize"}, "another direction"),
        ({"algorithm": MiniSearch(limit=9)}, "another algorithm"),
    ]:
        with pytest.raises(JournalError, match=message):
            make_study(stored=True, **{"resume": True, **options})
    other = Space(
        learning_rate=Float(1e-4, 1.0, log=True),
        width=Int(16, 64),
        optimizer=Categorical(["sgd", "adam"]),
        epochs=30,
    )
    with pytest.raises(JournalError) as error:
        Study(
            other,
            algorithm=MiniSearch(),
            direction="maximize",
            storage=tmp_path,
            resume=True,
        )
    for words in (
        "learning_rate.high': recorded 0.1, now 1.0",
        "activation' is gone",
        "optimizer' is new",
        "epochs': recorded 20, now 30",
    ):
        assert words in str(error.value)
    assert journal_of(tmp_path).read_bytes() == before


def test_another_schema_is_refused(make_study, space, tmp_path):
    study = make_study(stored=True)
    study.run(FakeEngine(space), generations=1, progress=False)
    study.close()
    path = journal_of(tmp_path)
    text = path.read_text()
    path.write_text(text.replace('"schema_version":1', '"schema_version":4', 1))
    with pytest.raises(JournalError, match=r"up to schema 3, but .* has schema 4"):
        make_study(stored=True, resume=True)
    with pytest.raises(JournalError, match="schema 4"):
        Study.load(tmp_path)


def test_a_study_without_results_is_started_anew(make_study, space, tmp_path):
    study = make_study(stored=True, seed=3)
    study.ask(2)
    study.close()
    again = make_study(stored=True, seed=4)
    again.run(FakeEngine(space), generations=1, progress=False)
    assert Study.load(tmp_path).seed == 4


def test_one_writer_at_a_time(make_study, space, tmp_path):
    study = make_study(stored=True)
    with pytest.raises(JournalError, match=r"of this very process.*study.close\(\)"):
        make_study(stored=True, resume=True)
    study.run(FakeEngine(space), generations=1, progress=False)
    study.close()
    with make_study(stored=True, resume=True) as other:
        other.run(FakeEngine(space), generations=2, progress=False)
        with pytest.raises(JournalError, match="being written"):
            study.ask()
    with pytest.raises(JournalError, match="has grown since"):
        study.run(FakeEngine(space), generations=2, progress=False)
    assert facts(Study.load(tmp_path)) == facts(other)


def test_a_forgotten_study_gives_its_lock_back(make_study):
    study = make_study(stored=True)
    study.ask()
    del study
    make_study(stored=True, resume=True).close()


def test_directories_are_checked_first(make_study, tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    for storage, message in [
        (tmp_path / "no" / "where", r"exists, or whose parent does.*mkdir"),
        (file, "cannot be made"),
        (Path("/proc"), "storage must be a directory"),
    ]:
        with pytest.raises(JournalError, match=message):
            make_study(storage=storage)
    for name in ("", "a/b", ".."):
        if name:
            with pytest.raises(JournalError, match="plain directory name"):
                make_study(storage=tmp_path, study_name=name)
    with pytest.raises(JournalError, match="not there or empty"):
        Study.load(tmp_path, "nothing")
    make_study(storage=tmp_path / "new").close()


def test_a_read_only_directory_is_refused(make_study, tmp_path, monkeypatch):
    storage = tmp_path / "locked"
    storage.mkdir(mode=0o555)
    if os.geteuid() == 0:  # whom no mode keeps from writing
        monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(JournalError, match="storage must be a directory"):
        make_study(storage=storage)


def test_a_full_disk_leaves_whole_lines(make_study, space, tmp_path, monkeypatch):
    study = make_study(stored=True)
    study.run(FakeEngine(space), generations=1, progress=False)
    write = os.write

    def torn(descriptor, data):
        if len(data) > 100:
            return write(descriptor, data[:50])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", torn)
        with pytest.raises(OSError, match="No space"):
            study.run(FakeEngine(space), generations=2, progress=False)
    study.run(FakeEngine(space), generations=2, progress=False)
    assert facts(Study.load(tmp_path)) == facts(study)
