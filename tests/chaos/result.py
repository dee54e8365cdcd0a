"""The result of a phase, also of one that fails."""

import traceback
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(slots=True)
class Result:
    """The result of a phase; times in seconds."""

    phase: str
    violations: list[str] = field(default_factory=list)
    kills: int = 0
    faults: int = 0
    acknowledged: int = 0
    unknown: int = 0
    refused: int = 0
    recoveries: list[float] = field(default_factory=list)
    zero_lag: float = 0.0
    points: dict[str, int] = field(default_factory=dict)
    seen: Counter[str] = field(default_factory=Counter[str])  # see scope.py


@contextmanager
def breaking_off(result: Result, folder: Path) -> Generator[None]:
    """An exception ends the body and no more: it is a violation of the phase, and `folder` keeps its traceback."""
    try:
        yield
    except Exception as error:
        result.violations.append(describe_error(error))
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "traceback.txt").open("a", encoding="utf-8") as file:
            file.write(traceback.format_exc() + "\n")


def describe_error(error: Exception) -> str:
    """The type and message of an exception."""
    return f"{type(error).__name__}: {error}"
