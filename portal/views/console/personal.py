"""What is one person's own: the bell, and how the desk looks and sounds for them."""

from datetime import time
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from zoneinfo import available_timezones

from flask import flash, jsonify, redirect, render_template, request, url_for

from portal.errors import UserFault
from portal.errors_pages import wants_partial
from portal.language import LANGUAGES, gettext, lazy_gettext, refresh, says
from portal.models.agent import AVAILABILITIES, DENSITIES, THEMES
from portal.services import notifications, people
from portal.views.console import words
from portal.views.console.blueprint import blueprint, person

THEME_WORDS = {
    "system": lazy_gettext("Like the system"),
    "light": lazy_gettext("Light"),
    "dark": lazy_gettext("Dark"),
}
DENSITY_WORDS = {"comfortable": lazy_gettext("Comfortable"), "compact": lazy_gettext("Compact")}
AVAILABILITY_WORDS = {
    "available": lazy_gettext("Available: new tickets may be assigned to me"),
    "away": lazy_gettext("Away"),
}


@blueprint.get("/notifications")
def bell() -> str:
    """What the person was told, newest first."""
    template = "console/_bell.html" if wants_partial() else "console/bell.html"
    return render_template(template, told=notifications.newest_of(person()), reader=words.reader())


@blueprint.get("/notifications/count")
def bell_count() -> Any:
    """How many the person has not read."""
    return jsonify(count=notifications.count_unread(person()), most=notifications.MOST_COUNTED)


@blueprint.post("/notifications/read")
def read_notifications() -> Any:
    """Mark all, or the one of the form, as read."""
    one = request.form.get("id", type=int)
    notifications.mark_read(person().id, None if one is None else [one])
    if wants_partial():
        return jsonify(says="")
    return redirect(url_for("console.bell"), 303)


@blueprint.get("/settings")
def settings() -> str:
    return _settings_page()


@blueprint.post("/settings")
def keep_settings() -> Any:
    form = request.form
    heard = set(form.getlist("heard"))
    try:
        people.keep_preferences(
            person(),
            people.Preferences(
                time_zone=form.get("time_zone", ""),
                language=form.get("language", "en"),
                theme=form.get("theme", "system"),
                density=form.get("density", "comfortable"),
                availability=form.get("availability", "available"),
                signature_html=form.get("signature", ""),
                muted_kinds=[kind for kind in notifications.KINDS if kind not in heard],
                quiet_from=_time("quiet_from"),
                quiet_until=_time("quiet_until"),
            ),
        )
    except UserFault as fault:
        flash(says(fault), "danger")
        return _settings_page(), fault.status_code
    refresh()
    flash(gettext("Your settings are kept."), "success")
    return redirect(url_for("console.settings"), 303)


@blueprint.post("/settings/availability")
def set_availability() -> Any:
    """Away or back, from the person's menu; then the page that they are on again."""
    people.set_availability(person(), request.form.get("availability", ""))
    here = urlsplit(request.referrer or "")
    is_ours = here.netloc == request.host and here.path.startswith("/")
    back = urlunsplit(("", "", here.path, here.query, "")) if is_ours else url_for("console.queue")
    if wants_partial():
        return jsonify(says="", url=back)
    return redirect(back, 303)


def _time(name: str) -> time | None:
    """A time of the day as the browser writes it; None where there is none."""
    written = request.form.get(name, "").strip()
    if not written:
        return None
    try:
        return time.fromisoformat(written).replace(tzinfo=None)
    except ValueError as error:
        raise UserFault("“%(value)s” is no time of the day. Write it like 22:00.", value=written) from error


def _settings_page() -> str:
    return render_template(
        "console/settings.html",
        profile=people.preferences_of(person()),
        time_zones=sorted(available_timezones()),
        languages={tag: each["name"] for tag, each in LANGUAGES.items()},
        themes={name: THEME_WORDS[name] for name in THEMES},
        densities={name: DENSITY_WORDS[name] for name in DENSITIES},
        availabilities={name: AVAILABILITY_WORDS[name] for name in AVAILABILITIES},
        kinds={kind: gettext(label) for kind, label in notifications.KINDS.items()},
    )
