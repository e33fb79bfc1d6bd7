"""What a run shows."""

from __future__ import annotations

import io
import sys

import pytest
import rich.console

from evotune.study import make_progress
from evotune.study._progress import Bar, Lines, Silent, clock
from tests.study.fakes import FakeEngine


def test_lines_go_to_logs_bars_to_terminals_and_nothing_where_wanted(monkeypatch):
    assert isinstance(make_progress(False), Silent)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False, raising=False)
    assert isinstance(make_progress(True), Lines)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert isinstance(make_progress(True), Bar)
    own = Lines()
    assert make_progress(own) is own


def test_quiet_is_quiet(make_study, space, capfd):
    make_study().run(FakeEngine(space), generations=2, progress=False)
    assert capfd.readouterr() == ("", "")


def test_lines_show_plan_compiling_generations_and_the_end(make_study, space):
    stream = io.StringIO()
    study = make_study()
    study.run(FakeEngine(space), generations=3, progress=Lines(stream))
    lines = stream.getvalue().splitlines()
    assert lines[:3] == [
        "Plan: 2 programs",
        "compiled 1 of 2 programs",
        "compiled 2 of 2 programs",
    ]
    assert [line.split("  ")[0] for line in lines[3:6]] == [
        "generation 1/3",
        "generation 2/3",
        "generation 3/3",
    ]
    assert "24/24 trials" in lines[5]
    assert f"best {study.best_value:.5g}" in lines[5]
    assert "trainings/s" in lines[5]
    assert "left" in lines[4]
    assert len(lines) == 7
    assert "ended by generations" in lines[6]


def test_the_bar_shows_the_same(make_study, space):
    stream = io.StringIO()
    console = rich.console.Console(file=stream, force_terminal=True, width=100)
    study = make_study()
    study.run(FakeEngine(space), generations=3, progress=Bar(console))
    text = stream.getvalue()
    assert "Plan: 2 programs" in text
    assert "generation 3/3" in text
    assert "24/24" in text
    assert f"{study.best_value:.5g}" in text
    assert "ended by generations" in text


def test_a_run_that_fails_leaves_no_bar_behind(make_study, space):
    stream = io.StringIO()
    bar = Bar(rich.console.Console(file=stream, force_terminal=True, width=100))

    def callback(*_):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        make_study().run(
            FakeEngine(space), timeout=9, callbacks=[callback], progress=bar
        )
    assert bar._bar.finished is False
    assert not bar._bar.live.is_started


@pytest.mark.parametrize(
    ("seconds", "shown"), [(3.4, "3 s"), (205, "3:25"), (3730, "1:02:10")]
)
def test_seconds_are_short(seconds, shown):
    assert clock(seconds) == shown
