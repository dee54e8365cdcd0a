"""What a rebuild prints of others' texts."""

from io import StringIO

from rich.console import Console

from job_tracker.rebuild.compare import Difference
from job_tracker.rebuild.report import RebuildReport


def test_no_text_of_an_event_steers_a_terminal() -> None:
    out = StringIO()
    report = RebuildReport(Console(file=out, force_terminal=True, color_system=None, width=200))
    evil = "\x1b]0;OWNED\x07[bold]"
    assert report.show([Difference("job", (evil,), {"phase": evil}, {"phase": "told"})]) == 1
    assert "\x1b" not in out.getvalue()
    assert out.getvalue().count("]0;OWNED\N{REPLACEMENT CHARACTER}[bold]") == 2
