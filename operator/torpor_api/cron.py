"""Cron's five fields, read as vixie cron reads them, and the moments that they mean in a time zone.

``minute hour day-of-month month day-of-week``: numbers, ``*``, ranges, steps, lists, names of
months and days, 7 for Sunday; ``@hourly`` to ``@yearly``. Not the extensions ``L``, ``W``, ``#``
and ``?``. Where both kinds of day are given, without ``*``, either is enough.

**When clocks change** it does as vixie cron does. A time that is skipped comes at once when the
clock has been set forward; one that comes twice counts the first time. Where minute or hour begins
with ``*`` every hour is meant, and what the clock shows counts: skipped times don't come, and those
that it shows twice come twice.

Pure but for the time zones, which the interpreter or the package tzdata brings.
"""

from __future__ import annotations

from bisect import bisect_right
from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from torpor_api.brief import brief

DAYS_AHEAD_MAX: Final = 8 * 366
"""The 29th of February is never further away."""

CHARACTERS_MAX: Final = 256
"""Of an expression: all minutes in a list take 169."""

_MONTHS: Final = (
    *("jan", "feb", "mar", "apr", "may", "jun"),
    *("jul", "aug", "sep", "oct", "nov", "dec"),
)
_LAST_DAY: Final = "$"
_WEEKDAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_SHORTHANDS: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    least: int
    most: int
    number: str
    """What a value looks like, for those who know patterns only."""
    names: tuple[str, ...] = ()
    """From ``least`` on."""

    @property
    def allowed(self) -> str:
        named = f" or {self.names[0]} to {self.names[-1]}" if self.names else ""
        return f"{self.least} to {self.most}{named}, *, ranges a-b, steps */n or a-b/n, and lists"

    @property
    def pattern(self) -> str:
        value, step = f"({'|'.join((self.number, *self.names))})", "(/0*[1-9][0-9]*)?"
        item = rf"(\*{step}|{value}(-{value}{step})?)"
        return f"{item}(,{item})*"


_FIELDS: Final = (
    _Field("minute", 0, 59, "[0-5]?[0-9]"),
    _Field("hour", 0, 23, "[01]?[0-9]|2[0-3]"),
    _Field("day of month", 1, 31, "0?[1-9]|[12][0-9]|3[01]"),
    _Field("month", 1, 12, "0?[1-9]|1[0-2]", _MONTHS),
    _Field("day of week", 0, 7, "0?[0-7]", _WEEKDAYS),
)

_SPELLED: Final = r"\s+".join(field.pattern for field in _FIELDS)

PATTERN: Final = rf"(?i)^\s*({'|'.join(_SHORTHANDS)}|{_SPELLED})\s*$"
"""What an expression looks like. Ranges that go backwards and days that never come look like one,
too; the parser refuses them."""


@dataclass(frozen=True, slots=True)
class _Moments:
    """Of a day on which no clock is changed; reckoned only where somebody looks."""

    begin_s: float
    hours: tuple[int, ...]
    minutes: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.hours) * len(self.minutes)

    def __getitem__(self, index: int) -> float:
        hour, minute = divmod(index, len(self.minutes))
        return self.begin_s + 3600.0 * self.hours[hour] + 60.0 * self.minutes[minute]


@dataclass(frozen=True, slots=True)
class Cron:
    """When something is due, by the clock on the wall."""

    text: str
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    """From 0, Sunday, to 6."""
    is_either_day: bool
    """Either kind of day is enough."""
    is_every_hour: bool
    """What the clock shows counts, where it is changed."""
    is_last_day: bool = False
    """Of each month as well."""

    def is_on(self, day: date) -> bool:
        if day.month not in self.months:
            return False
        is_last = self.is_last_day and day.day == monthrange(day.year, day.month)[1]
        by_date, by_weekday = day.day in self.days or is_last, day.isoweekday() % 7 in self.weekdays
        return by_date or by_weekday if self.is_either_day else by_date and by_weekday

    def next_after(self, moment: float, zone: ZoneInfo) -> float | None:
        """The first due moment after this one, in seconds since 1970; None: none in eight years."""
        first = _local_day(moment, zone)
        for ahead in range(DAYS_AHEAD_MAX):
            moments = self._moments_of(first + timedelta(days=ahead), zone)
            later = bisect_right(moments, moment)
            if later < len(moments):
                return moments[later]
        return None

    def latest_until(self, moment: float, zone: ZoneInfo, days_back: int) -> float | None:
        """The last due moment up to this one; None: none within so many days, or one more."""
        last = _local_day(moment, zone)
        for back in range(days_back + 2):
            moments = self._moments_of(last - timedelta(days=back), zone)
            earlier = bisect_right(moments, moment)
            if earlier:
                return moments[earlier - 1]
        return None

    def _moments_of(self, day: date, zone: ZoneInfo) -> list[float] | _Moments:
        """All of one day, in order."""
        if not self.is_on(day):
            return []
        begin = datetime(day.year, day.month, day.day, tzinfo=zone)
        if begin.utcoffset() == (begin + timedelta(days=1)).utcoffset():
            return _Moments(begin.timestamp(), self.hours, self.minutes)
        times = [hour * 60 + minute for hour in self.hours for minute in self.minutes]
        # Sums with a zone go by the clock on the wall, to moments that may come never or twice.
        local = (begin + timedelta(minutes=time) for time in times)
        return sorted({moment for time in local for moment in self._moments_at(time, zone)})

    def _moments_at(self, local: datetime, zone: ZoneInfo) -> Iterator[float]:
        """Of what the clock shows on a day on which it is changed."""
        first = local.replace(fold=0).timestamp()
        second = local.replace(fold=1).timestamp()
        if first <= second:
            yield first
            if self.is_every_hour and first < second:
                yield second
        elif not self.is_every_hour:
            yield _change_between(second, first, zone)


def parse_cron(text: str, *, knows_last_day: bool = False) -> Cron:
    """Raises ValueError that names the field, its value, and what is allowed.

    ``knows_last_day``: a day of month may be ``$``, the last one, as pg_cron has it.
    """
    if len(text) > CHARACTERS_MAX:
        raise ValueError(f"{brief(text)} is too long: allowed are {CHARACTERS_MAX} characters")
    parts = _SHORTHANDS.get(text.strip().lower(), text).split()
    if len(parts) != len(_FIELDS):
        names = ", ".join(field.name for field in _FIELDS)
        shorthands = ", ".join(_SHORTHANDS)
        raise ValueError(
            f"{brief(text)} has {len(parts)} fields: allowed are five ({names}), or {shorthands}"
        )
    listed = parts[2].split(",")
    is_last_day = knows_last_day and _LAST_DAY in listed
    if is_last_day:  # The 31st is always the last.
        parts[2] = ",".join(item for item in listed if item != _LAST_DAY) or "31"
    minutes, hours, days, months, weekdays = (
        _values_of(part, field) for part, field in zip(parts, _FIELDS, strict=True)
    )
    is_either_day = not parts[2].startswith("*") and not parts[4].startswith("*")
    comes_by_date = is_last_day or any(min(days) <= monthrange(2000, m)[1] for m in months)
    if not is_either_day and not comes_by_date:
        raise ValueError(f"{brief(text)} never comes: no month among these has a day {min(days)}")
    return Cron(
        text=text,
        minutes=tuple(sorted(minutes)),
        hours=tuple(sorted(hours)),
        days=days,
        months=months,
        weekdays=frozenset(day % 7 for day in weekdays),
        is_either_day=is_either_day,
        is_every_hour=parts[0].startswith("*") or parts[1].startswith("*"),
        is_last_day=is_last_day,
    )


def parse_time_zone(name: str) -> ZoneInfo:
    """Raises ValueError for what IANA has no zone of."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(
            f"{brief(name)} is no time zone: write a name of IANA's, like Europe/Berlin or UTC"
        ) from None


def _values_of(text: str, field: _Field) -> frozenset[int]:
    return frozenset(value for item in text.split(",") for value in _range_of(item, text, field))


def _range_of(item: str, text: str, field: _Field) -> range:
    """Of one member of a list."""
    span, slash, step_text = item.partition("/")
    low_text, dash, high_text = span.partition("-")
    if span == "*":
        low, high = field.least, field.most
    else:
        low = _number_of(low_text, text, field)
        high = _number_of(high_text, text, field) if dash else low
        if dash and high == 0 < low and field.most == 7:
            high = 7
    step = int(step_text) if step_text.isascii() and step_text.isdigit() else 0
    is_stepped = not slash or (step > 0 and (span == "*" or bool(dash)))
    if high < low or not is_stepped:
        raise _refused(text, field)
    return range(low, high + 1, step or 1)


def _number_of(text: str, whole: str, field: _Field) -> int:
    if text.lower() in field.names:
        return field.least + field.names.index(text.lower())
    if not (text.isascii() and text.isdigit() and len(text) <= 2):
        raise _refused(whole, field)
    number = int(text)
    if not field.least <= number <= field.most:
        raise _refused(whole, field)
    return number


def _refused(text: str, field: _Field) -> ValueError:
    return ValueError(f"{field.name} {brief(text)}: allowed is {field.allowed}")


def _local_day(moment: float, zone: ZoneInfo) -> date:
    return datetime.fromtimestamp(moment, zone).date()


def _change_between(before: float, after: float, zone: ZoneInfo) -> float:
    """The second from which on the zone's clock goes by its new offset."""
    old, new = int(before), int(after)
    offset = datetime.fromtimestamp(new, zone).utcoffset()
    while new - old > 1:
        middle = (old + new) // 2
        if datetime.fromtimestamp(middle, zone).utcoffset() == offset:
            new = middle
        else:
            old = middle
    return float(new)
