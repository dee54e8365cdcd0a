"""Shows the events of the local stack: a bar for a download, a line for each step."""

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from local_stack import StackEvent

MARKS = {
    "ready": "[green]✔[/]",
    "died": "[red]✘[/]",
    "restarted": "[yellow]↻[/]",
    "ended": "[dim]∎[/]",
    "note": "[dim]·[/]",
}


class StackView:
    """A context manager around the start of a system; after it, deaths and restarts are still printed."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._tasks: dict[str, TaskID] = {}
        self._bars = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
        )

    def __enter__(self) -> "StackView":
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def stop_bars(self) -> None:
        """After the start: no more bars, only lines."""
        self._bars.stop()

    def __call__(self, event: StackEvent) -> None:
        """Show one event. Thread-safe."""
        if event.kind in {"download", "format", "start"}:
            self._step(event)
            return
        if event.kind == "ready":
            self._end(event.service)
        self._console.print(f" {MARKS[event.kind]}", Text(event.message))

    def _step(self, event: StackEvent) -> None:
        task = self._tasks.get(event.service)
        if task is None:
            task = self._tasks[event.service] = self._bars.add_task(event.message, total=None)
        self._bars.update(task, description=event.message, total=event.total, completed=event.done or 0)

    def _end(self, service: str) -> None:
        task = self._tasks.pop(service, None)
        if task is not None:
            self._bars.remove_task(task)
