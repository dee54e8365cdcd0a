"""The output of a rebuild or audit: progress bars, then the differences."""

from collections import Counter
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bars
from rich.table import Table

from job_events.texts import printable
from job_tracker.rebuild.compare import Difference

Progress = Callable[[str, int], Callable[[int], None]]
"""Begins a step with a title and a total (0: unknown); what it returns is called with every advance."""

SHOWN = 20  # rows that differ are printed up to this number; all are counted
_LONGEST = 200  # characters of a value


class RebuildReport:
    """A context manager around the work; it removes the bars at the end."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bars = Bars(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> "RebuildReport":
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def progress(self, title: str, total: int) -> Callable[[int], None]:
        """One bar at a time; a total of 0 is an unknown one."""
        if self._task is not None:
            self._bars.remove_task(self._task)
        task = self._task = self._bars.add_task(title, total=total or None)
        return lambda advance: self._bars.advance(task, advance)

    def say(self, sentence: str) -> None:
        self._console.print(sentence, soft_wrap=True, markup=False)

    def show(self, differences: Iterable[Difference]) -> int:
        """Print differences as they come, and count them all; how many there were."""
        rows: Counter[str] = Counter()
        fields: Counter[str] = Counter()
        for difference in differences:
            rows[difference.table] += 1
            changed = difference.fields()
            if difference.table == "job" and difference.before and difference.after:
                fields.update(changed.keys())
            if rows[difference.table] <= SHOWN:
                self._console.print(_table(difference, changed))
        for table, count in rows.items():
            if count > SHOWN:
                self.say(f"{table}: {count:,} rows differ; the first {SHOWN} are shown")
        if fields:
            summary = ", ".join(f"{name} in {count:,}" for name, count in fields.most_common())
            self.say(f"fields that differ between job rows: {summary}")
        return rows.total()


def _table(difference: Difference, changed: dict[str, tuple[Any, Any]]) -> Table:
    """One row that differs; of one that a side lacks, only its content."""
    key = " ".join(str(part) for part in difference.key)
    if difference.before is None:
        kind = f"missing: by {difference.source} it is there, in the live table it is not"
    elif difference.after is None:
        kind = f"unfounded: in the live table it is there, by {difference.source} it is not"
    else:
        kind = "differs"
    table = Table(
        title=escape(printable(f"{difference.table} {key} {kind}")), title_justify="left", header_style="bold"
    )
    for name in ("field", "before (live)", f"after ({difference.source.removeprefix('the ')})"):
        table.add_column(name, overflow="fold")
    for name, (before, after) in changed.items():
        table.add_row(name, _text(before), _text(after))
    return table


def _text(value: object) -> str:
    if value is None:
        return "[dim]none[/]"
    text = value.isoformat() if hasattr(value, "isoformat") else str(value)  # pyright: ignore[reportAttributeAccessIssue]
    text = printable(text)
    return escape(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… ({len(text)} characters)")
