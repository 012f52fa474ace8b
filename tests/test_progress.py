import pytest

from ser_core.commands import arguments
from ser_core.work import progress as pace
from ser_core.work.progress import Pace
from ser_core.work.training_process import PROGRESS


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 1000.0

    monkeypatch.setattr(pace.time, "monotonic", lambda: Clock.now)
    return Clock


def test_the_remaining_time_follows_the_pace_so_far(clock):
    work = Pace()
    clock.now += 30
    assert work.seconds_left(0.25) == pytest.approx(90)


def test_there_is_no_estimate_for_work_that_has_hardly_begun(clock):
    work = Pace()
    clock.now += 5
    assert work.seconds_left(0.0) is None
    assert work.seconds_left(0.019) is None


def test_progress_from_before_a_resume_soon_stops_counting(clock):
    work = Pace()
    clock.now += 1
    work.seconds_left(0.7)  # already finished
    for step in range(1, 41):
        clock.now += 10
        left = work.seconds_left(0.7 + 0.001 * step)
    # 0.001 in 10 s: 0.26 remains.
    assert left == pytest.approx(2600)


def test_reports_within_ten_seconds_do_not_shorten_the_window(clock):
    work = Pace()
    for step in range(1, 1001):
        clock.now += 0.1
        left = work.seconds_left(step / 2000)
    assert left == pytest.approx(100)


@pytest.mark.parametrize(
    ("took_s", "done", "said"),
    [(20, 0.5, ", about 20 s left"), (600, 0.5, ", about 10 min left"), (20, 0.99, ""), (20, 0.01, "")],
)
def test_commands_print_the_time_left_in_seconds_if_it_is_short(clock, capsys, took_s, done, said):
    work = arguments.printed_progress()
    clock.now += took_s
    work.progress(done, "Round 1")
    printed = capsys.readouterr().err.rstrip("\n")
    assert printed == f"{100 * done:3.0f} %  Round 1{said}"
    assert PROGRESS.match(printed).groups() == (f"{100 * done:.0f}", "Round 1")
