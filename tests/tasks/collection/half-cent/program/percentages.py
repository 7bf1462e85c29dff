"""Parts of an amount, in whole cents."""


def share_of(cents: int, percent: int) -> int:
    """So many percent of an amount that is not negative; half a cent goes up."""
    return round(cents * percent / 100)


def without(cents: int, percent: int) -> int:
    """An amount that so many percent were taken off."""
    return cents - share_of(cents, percent)
