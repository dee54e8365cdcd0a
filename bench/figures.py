"""Figures: printed as `figure NAME VALUE UNIT` as soon as they are known, kept as JSON for the page of results."""

import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any


class Figures:
    """All figures of one run. The file is rewritten with each figure, so that a failed run keeps its part."""

    def __init__(self, path: Path, about: dict[str, Any]) -> None:
        self._path = path
        self._content: dict[str, Any] = {"about": about, "figures": {}}
        path.parent.mkdir(parents=True, exist_ok=True)

    def put(self, name: str, values: float | Sequence[float], unit: str, note: str = "") -> None:
        """Keep the median of `values` under `name` and print it."""
        several = [float(value) for value in values] if isinstance(values, Sequence) else [float(values)]
        middle = statistics.median(several)
        print(f"figure {name} {shown(middle)} {unit}", flush=True)
        self._content["figures"][name] = {"value": middle, "unit": unit, "note": note, "values": several}
        self._path.write_text(json.dumps(self._content, indent=1) + "\n")

    def __getitem__(self, name: str) -> float:
        """The median that was kept under `name`."""
        return float(self._content["figures"][name]["value"])


def shown(value: float) -> str:
    """Four significant digits; whole numbers from a thousand on."""
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` (0 to 1) of all values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
