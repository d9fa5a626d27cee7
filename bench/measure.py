"""Times and tables: how a figure is taken, and how it is shown."""

import json
import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

WARM_UPS, REPEATS = 5, int(os.environ.get("BENCH_REPEATS", "50"))


@dataclass(frozen=True)
class Spread:
    """Milliseconds of a number of runs."""

    median: float
    p95: float
    runs: int


def spread_of(seconds: Sequence[float]) -> Spread:
    """Median and 95th percentile (the run that 95 % are not slower than)."""
    ordered = sorted(seconds)
    p95 = ordered[max(0, -(-len(ordered) * 95 // 100) - 1)]
    return Spread(round(statistics.median(ordered) * 1000, 2), round(p95 * 1000, 2), len(ordered))


def timed(call: Callable[[], object], *, warm_ups: int = WARM_UPS, repeats: int = REPEATS) -> Spread:
    """The spread of that many calls after the warm-ups."""
    for _ in range(warm_ups):
        call()
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - began)
    return spread_of(seconds)


def resident_kilobytes(pid: int | None = None) -> int:
    """What a process holds in memory now."""
    return _status(pid, "VmRSS")


def peak_kilobytes(pid: int | None = None) -> int:
    """The most that a process has held since it began, or since `reset_peak`."""
    return _status(pid, "VmHWM")


def reset_peak(pid: int | None = None) -> None:
    """Begin the peak anew (Linux: proc(5), clear_refs)."""
    Path(f"/proc/{pid or 'self'}/clear_refs").write_text("5")


def machine() -> dict[str, Any]:
    """What the figures were taken on."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        "unknown",
    )
    return {"cores": os.cpu_count(), "processor": model, "load": round(os.getloadavg()[0], 2)}


def print_table(title: str, headings: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A table for the terminal: the first column to the left, figures to the right."""
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [max(len(line[index]) for line in [list(headings), *cells]) for index in range(len(headings))]
    print(f"\n{title}")
    for line in [list(headings), ["-" * width for width in widths], *cells]:
        first, *others = [*zip(line, widths, strict=True)]
        print("  ".join([first[0].ljust(first[1]), *(text.rjust(width) for text, width in others)]))


def write_results(folder: Path, name: str, results: dict[str, Any]) -> None:
    """`<folder>/<name>.json`, with the machine beside the figures."""
    path = folder / f"{name}.json"
    path.write_text(json.dumps({"machine": machine(), **results}, indent=2, default=asdict) + "\n")
    print(f"  written to {path}", flush=True)


def _status(pid: int | None, name: str) -> int:
    for line in Path(f"/proc/{pid or 'self'}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    raise LookupError(name)


def _cell(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:,.2f}" if abs(value) < 10 else f"{value:,.1f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
