"""Figures in words, the same on every page of the leads."""

from datetime import date, datetime

from babel import dates

from portal.language import formats, gettext
from portal.services.metrics import PER_WEEK, SECONDS, SHARE, Metric

NOTHING = "–"
# A movement smaller than this is called none.
STEADY = 0.005


def duration(seconds: float | None) -> str:
    """Seconds as people say them, in at most two units: 42 s, 14 min, 1 h 20 min, 2 d 3 h."""
    if seconds is None:
        return NOTHING
    whole = round(seconds)
    if whole < 60:
        return gettext("%(seconds)s s", seconds=whole)
    minutes = round(whole / 60)
    if minutes < 60:
        return gettext("%(minutes)s min", minutes=minutes)
    hours, minutes = divmod(minutes, 60)
    return _hours(hours, minutes) if hours < 24 else _days(*divmod(round(whole / 3600), 24))


def share(value: float | None) -> str:
    """A part of one in percent; small ones with a decimal."""
    if value is None:
        return NOTHING
    percent = value * 100
    return f"{percent:.1f} %" if 0 < percent < 10 and percent != int(percent) else f"{percent:.0f} %"


def figure(metric: Metric) -> str:
    """The value with its unit."""
    return _with_unit(metric.value, metric.unit)


def previous_figure(metric: Metric) -> str:
    """The preceding period's value with its unit."""
    return _with_unit(metric.previous, metric.unit)


def change(metric: Metric) -> str:
    """How it moved, in the words of its unit; "" where there is nothing to compare with."""
    moved = metric.change
    if moved is None:
        return ""
    if abs(moved) < STEADY:
        return gettext("as before")
    if metric.unit == SECONDS and moved >= 1:
        return gettext("%(times)s times as long", times=f"{1 + moved:.1f}")
    percent, points = f"{abs(moved) * 100:.0f} %", f"{abs(moved) * 100:.1f}"
    if metric.unit == SECONDS:
        slower, faster = gettext("%(part)s slower", part=percent), gettext("%(part)s faster", part=percent)
        return slower if moved > 0 else faster
    if metric.unit == SHARE:
        up, down = (
            gettext("%(points)s points up", points=points),
            gettext("%(points)s points down", points=points),
        )
        return up if moved > 0 else down
    more, less = gettext("%(part)s more", part=percent), gettext("%(part)s less", part=percent)
    return more if moved > 0 else less


def direction(metric: Metric) -> str:
    """Whether the movement is good news: better, worse or same."""
    moved = metric.change
    if moved is None or abs(moved) < STEADY:
        return "same"
    return "better" if (moved < 0) == metric.is_lower_better else "worse"


def day(value: date, *, has_year: bool = False) -> str:
    """A day as it stands under a chart: 23 Nov, or 23 Nov 2026."""
    moment = datetime(value.year, value.month, value.day)  # noqa: DTZ001 - a day has no zone
    return dates.format_skeleton("yMMMd" if has_year else "MMMd", moment, locale=formats())


def days(first: date, last: date) -> str:
    """A stretch of days, with the year where it ends: 25 Oct – 23 Nov 2026."""
    if first == last:
        return day(first, has_year=True)
    return f"{day(first, has_year=first.year != last.year)} – {day(last, has_year=True)}"


def _hours(hours: int, minutes: int) -> str:
    if minutes:
        return gettext("%(hours)s h %(minutes)s min", hours=hours, minutes=minutes)
    return gettext("%(hours)s h", hours=hours)


def _days(days: int, hours: int) -> str:
    if hours:
        return gettext("%(days)s d %(hours)s h", days=days, hours=hours)
    return gettext("%(days)s d", days=days)


def _with_unit(value: float | None, unit: str) -> str:
    if unit == SECONDS:
        return duration(value)
    if unit == SHARE:
        return share(value)
    assert unit == PER_WEEK, "the units of services.metrics are these three"
    if value is None:
        return NOTHING
    return f"{value:.1f}" if value else "0"
