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


def test_the_rest_takes_as_long_as_the_part_before_it_did(clock):
    work = Pace()
    clock.now += 30
    assert work.seconds_left(0.25) == pytest.approx(90)


def test_hardly_begun_work_is_not_guessed_at(clock):
    work = Pace()
    clock.now += 5
    assert work.seconds_left(0.0) is None
    assert work.seconds_left(0.019) is None


def test_what_was_done_before_a_resumed_work_began_is_soon_forgotten(clock):
    work = Pace()
    clock.now += 1
    work.seconds_left(0.7)  # found finished
    for step in range(1, 41):
        clock.now += 10
        left = work.seconds_left(0.7 + 0.001 * step)
    # 0.001 in 10 s: 0.26 is left.
    assert left == pytest.approx(2600)


def test_reports_closer_than_ten_seconds_do_not_shorten_what_is_remembered(clock):
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
