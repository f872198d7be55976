"""Progress: silent while work is short, one line now and then otherwise, and always on standard error."""

from __future__ import annotations

import itertools

import pytest

from transferlm import progress
from transferlm.progress import Progress, duration, quiet, say, track


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that the test moves: `clock[0] = seconds`."""
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_short_work_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(track(range(5), "counting")) == [0, 1, 2, 3, 4]
    assert capsys.readouterr() == ("", "")


def test_long_work_tells_share_speed_and_time_left(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    with Progress("training", 100, "steps") as bar:
        for second in range(1, 6):
            clock[0] = second
            bar.advance(10)
    out, err = capsys.readouterr()
    assert out == ""
    first, last = err.splitlines()
    assert first == "training: 20 of 100 steps (20%), 10 steps a second, 8 s left"
    assert last == "training: 50 steps in 5 s"


def test_lines_in_a_file_come_now_and_then(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    with Progress("training", 600) as bar:
        for second in range(1, 61):
            clock[0] = second
            bar.advance()
    assert 4 <= len(capsys.readouterr().err.splitlines()) <= 7


def test_a_stream_of_unknown_length_has_no_share(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    with Progress("reading", unit="texts") as bar:
        clock[0] = 3
        bar.advance(6, note="loss 2.5 bits")
    assert capsys.readouterr().err.splitlines()[0] == "reading: 6 texts, loss 2.5 bits"


def test_only_the_outermost_counter_draws(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    with Progress("comparing", 2) as outer:
        with Progress("training", 2) as inner:
            clock[0] = 10
            inner.advance()
        outer.advance()
    assert "training" not in capsys.readouterr().err


def test_nothing_is_announced_as_done_when_it_failed(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted() -> None:
        with Progress("training", 9) as bar:
            clock[0] = 5
            bar.advance()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert "in 5 s" not in capsys.readouterr().err
    with Progress("again", 9) as bar:  # and the counter of open bars is right again
        clock[0] = 10
        bar.advance()
    assert "again" in capsys.readouterr().err


def test_quiet_silences_and_ends(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    with quiet():
        say("a remark")
        with quiet(False):
            say("still silent: the outer block rules")
        with Progress("training", 9) as bar:
            clock[0] = 5
            bar.advance()
    assert capsys.readouterr().err == ""
    say("a remark\n")
    assert capsys.readouterr().err == "a remark\n"


def test_a_terminal_line_is_redrawn_and_cleared(
    clock: list[float], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress.sys.stderr, "isatty", lambda: True, raising=False)
    with Progress("training", 100) as bar:
        for tenth in range(21, 31):
            clock[0] = tenth / 10
            bar.advance()
    err = capsys.readouterr().err
    assert err.count("\r\x1b[K") >= 5
    assert err.splitlines()[-1].endswith("training: 10 steps in 3 s")


def test_track_takes_iterators() -> None:
    assert list(track(itertools.islice(itertools.count(), 3), "counting")) == [0, 1, 2]


def test_duration() -> None:
    assert [duration(s) for s in (0.4, 59.6, 3599, 3600)] == ["0 s", "1 min 00 s", "59 min 59 s", "1 h 00 min"]
