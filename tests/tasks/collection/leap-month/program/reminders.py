"""When a reminder comes back."""

import calendar
from datetime import date


def months_later(day: date, months: int) -> date:
    """The same day of a later month, or that month's last day where it is shorter."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    last = calendar.monthrange(day.year, month + 1)[1]
    return date(year, month + 1, min(day.day, last))
