import io

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


def test_a_log_file_gets_a_line_now_and_then(monkeypatch):
    stream, now = io.StringIO(), 0.0
    monkeypatch.setattr(progress_module.time, "monotonic", lambda: now)
    with Progress("neurons", stream) as progress:
        for done in range(100):
            now += 1.0
            progress("connections", done, 100)
    assert stream.getvalue().splitlines() == [f"connections: {done} of 100 neurons" for done in (29, 59, 89)]
