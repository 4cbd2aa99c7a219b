"""Bars on the terminal, one per stage or file, with what is said between them above."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from styleflow.training.progress import StepText


class _Board:
    """A context manager that draws bars.

    Args:
        columns: of every bar.
        console: where it is drawn.
    """

    def __init__(self, columns: Sequence[ProgressColumn], console: Console) -> None:
        self._bars: dict[str, TaskID] = {}
        self._progress = Progress(*columns, console=console)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def say(self, text: str) -> None:
        """Show a text above the bars."""
        self._progress.console.print(text, markup=False, highlight=False)


class ProgressBoard(_Board):
    """Draws how far each stage of a command is; a context manager.

    Where nothing can be drawn anew, as in the file of a run in the background, every tenth of a
    stage is a line.

    Args:
        console: where it is drawn.
    """

    def __init__(self, console: Console) -> None:
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[figures]}", markup=False),
        )
        super().__init__(columns, console)
        self._tenths: dict[str, int] | None = None if console.is_terminal else {}

    def tell(self, text: str) -> None:
        """Show a text: as a bar where it says how far a stage is, else as a line."""
        if isinstance(text, StepText):
            figures = text.partition(": ")[2]
            self._show(text.stage, text.step, text.steps, figures)
        else:
            self.say(text)

    def counting(self, stage: str) -> Callable[[int, int], None]:
        """Return what is told how many things of a stage are done, and of how many."""
        return lambda done, total: self._show(stage, done, total, "")

    def _show(self, stage: str, done: int, total: int, figures: str) -> None:
        if stage not in self._bars:
            self._bars[stage] = self._progress.add_task(stage, figures=figures)
        self._progress.update(self._bars[stage], completed=done, total=total, figures=figures)
        if self._tenths is not None and total:
            tenth = 10 * done // total
            if tenth > self._tenths.get(stage, 0):
                self.say(f"{stage} {done}/{total}{': ' * bool(figures)}{figures}")
            self._tenths[stage] = tenth


class DownloadBoard(_Board):
    """Draws how far each file of a download is; a context manager.

    Args:
        console: where it is drawn.
    """

    def __init__(self, console: Console) -> None:
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
        )
        super().__init__(columns, console)

    def show(self, file: str, have: int, size: int) -> None:
        """Show how many bytes of a file are here, and of how many."""
        if file not in self._bars:
            self._bars[file] = self._progress.add_task(file, total=size, completed=have)
        self._progress.update(self._bars[file], completed=have)
