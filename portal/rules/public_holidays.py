"""Public holidays by country and region, as the library `holidays` knows them."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date
from typing import Any

from portal.wording import sentence

YEARS_BACK = 1
YEARS_AHEAD = 5
# The languages of the interface: holidays of other countries are called by their English names.
_OWN_NAMES = ("en", "de")


def years_around(today: date) -> range:
    """The years for which holidays are written down."""
    return range(today.year - YEARS_BACK, today.year + YEARS_AHEAD + 1)


def countries() -> dict[str, tuple[str, ...]]:
    """The codes (ISO 3166) of all countries that are known, each with those of its regions."""
    import holidays  # a tenth of a second, which only the admin's pages need

    listed = holidays.list_supported_countries(include_aliases=False)
    return {code: tuple(regions) for code, regions in sorted(listed.items())}


def region_names(country: str) -> dict[str, str]:
    """What the regions of a country are called, by code, in the order of their names."""
    import holidays

    if country not in countries():
        return {}
    aliases: Mapping[str, Sequence[str]] = holidays.country_holidays(country).get_subdivision_aliases()
    # Of several names the longest is the one that is no abbreviation.
    named = {code: max(names, key=len, default=code) for code, names in aliases.items()}
    return dict(sorted(named.items(), key=lambda each: each[1]))


def holidays_of(country: str, region: str, years: Iterable[int]) -> list[dict[str, str]]:
    """The public holidays of these years as `{"date": "2026-12-25", "name": …}`, in their order.

    Raises ValueError in words for a country or region that is not known.
    """
    import holidays

    known = countries()
    if country not in known:
        raise ValueError(sentence("There is no country “%(country)s” in the list.", country=country))
    if region and region not in known[country]:
        raise ValueError(sentence("There is no region “%(region)s” in this country.", region=region))
    found: Mapping[date, str] = holidays.country_holidays(
        country, subdiv=region or None, years=years, language=_language(country)
    )
    return [{"date": day.isoformat(), "name": name} for day, name in sorted(found.items())]


def with_worked(listed: Iterable[Mapping[str, Any]], worked: Collection[str]) -> list[dict[str, Any]]:
    """The same holidays, those with one of these names marked as days of work."""
    return [
        {
            "date": each["date"],
            "name": each["name"],
            **({"is_worked": True} if each["name"] in worked else {}),
        }
        for each in listed
    ]


def worked_names(listed: Iterable[Mapping[str, Any]]) -> set[str]:
    """The names of those on which the desk works."""
    return {each["name"] for each in listed if each.get("is_worked")}


def missing_years(listed: Sequence[Mapping[str, Any]], today: date) -> list[int]:
    """The years ahead of what is written down, up to YEARS_AHEAD; none where nothing is."""
    last = max((int(each["date"][:4]) for each in listed), default=None)
    return [] if last is None else [year for year in years_around(today) if year > last]


def _language(country: str) -> str | None:
    import holidays

    entity = holidays.country_holidays(country)
    own = entity.default_language
    if own and own[:2] in _OWN_NAMES:
        return str(own)
    return "en_US" if "en_US" in entity.supported_languages else own
