"""The geometry of the trend, so that the template only draws it."""

from collections.abc import Sequence
from dataclasses import dataclass

from portal.language import gettext, ngettext
from portal.services.metrics import Bar
from portal.views.leads import wording

WIDTH, HEIGHT = 720, 132
# Steps at which a scale of waiting times may end.
TOPS = [
    *(60 * minutes for minutes in (1, 2, 5, 10, 15, 30)),
    *(3600 * hours for hours in (1, 2, 3, 4, 6, 8, 12, 18)),
    *(86_400 * days for days in (1, 2, 3, 5, 7, 14, 30, 60, 120, 365)),
]


@dataclass(frozen=True)
class DrawnBar:
    """One bar in the drawing's units, with the words that are read out and shown on hover."""

    x: float
    y: float
    width: float
    height: float
    label: str
    value: str
    count: int
    days: str
    url: str


@dataclass(frozen=True)
class Chart:
    """A trend ready to draw. `top` is the value of the upper edge, `unit` how wide a bar is in time."""

    bars: tuple[DrawnBar, ...]
    top: str
    middle: str
    first: str
    last: str
    unit: str
    width: int = WIDTH
    height: int = HEIGHT


def trend_chart(bars: Sequence[Bar], unit: str, urls: Sequence[str]) -> Chart | None:
    """The chart of those bars; None where there is nothing to show."""
    measured = [bar.median_seconds for bar in bars if bar.median_seconds is not None]
    if not measured:
        return None
    top = next((step for step in TOPS if step >= max(measured)), max(measured))
    step = WIDTH / len(bars)
    spans_years = bars[0].first.year != bars[-1].last.year
    gap = min(4.0, step * 0.25)
    return Chart(
        bars=tuple(
            _drawn(bar, round(index * step + gap / 2, 2), round(step - gap, 2), top, url)
            for index, (bar, url) in enumerate(zip(bars, urls, strict=True))
        ),
        top=wording.duration(top),
        middle=wording.duration(top / 2),
        first=wording.day(bars[0].first, has_year=spans_years),
        last=wording.day(bars[-1].last, has_year=spans_years),
        unit=unit,
    )


def _drawn(bar: Bar, x: float, width: float, top: float, url: str) -> DrawnBar:
    height = 0.0 if bar.median_seconds is None else max(2.0, HEIGHT * bar.median_seconds / top)
    days = wording.days(bar.first, bar.last)
    value = wording.duration(bar.median_seconds)
    answers = ngettext("%(num)s first answer", "%(num)s first answers", bar.count)
    return DrawnBar(
        x=x,
        y=round(HEIGHT - height, 2),
        width=width,
        height=round(height, 2),
        label=f"{days}: {value}, {answers}" if bar.count else gettext("%(days)s: no first answer", days=days),
        value=value,
        count=bar.count,
        days=days,
        url=url,
    )
