import io
from concurrent.futures import ThreadPoolExecutor

from twincortex.models import progress as progress_module
from twincortex.models.progress import Progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_gets_a_bar_per_stage():
    stream = Terminal()
    with Progress("neurons", stream) as progress:
        for done in (1, 5, 10):
            progress("recurrent connections", done, 10)
        progress("LGN connections", 10, 10)
    assert "recurrent connections" in stream.getvalue()
    assert "LGN connections" in stream.getvalue()


def test_stages_that_overlap_keep_their_bars():
    stream = Terminal()
    with Progress("neurons", stream) as progress:
        for done in range(1, 11):
            progress("building", done, 10)
            progress("writing", 10 * done, 200)
    text = stream.getvalue()
    assert text.count("building:   0%") == text.count("writing:   0%") == 1
    assert "neurons/s" in text


def test_threads_may_tell_of_progress_at_the_same_time():
    stream = Terminal()
    with Progress("neurons", stream) as progress, ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda done: progress("building", done % 7, 7), range(200))) == [None] * 200


def test_a_log_file_gets_a_line_now_and_then(monkeypatch):
    stream, now = io.StringIO(), 0.0
    monkeypatch.setattr(progress_module.time, "monotonic", lambda: now)
    with Progress("neurons", stream) as progress:
        for done in range(100):
            now += 1.0
            progress("connections", done, 100)
    assert stream.getvalue().splitlines() == [f"connections: {done} of 100 neurons" for done in (29, 59, 89)]
