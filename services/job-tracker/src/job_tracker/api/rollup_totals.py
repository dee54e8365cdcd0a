"""Totals of job lists from the rollups, which are kept in the transaction that keeps the jobs."""

from datetime import UTC, date, datetime, time, timedelta

from job_tracker.api.list_statements import Bounds, Listing, ListQuery, Statement, total_around
from job_tracker.api.tenancy import tenant_condition, tenant_value
from job_tracker.domain.list_plans import plan_list
from service_kit.sql_files import queries

_TOTALS = queries("job_tracker.store", "reads.sql")["rollup_totals"]
# A tenant has a row for each type, status and day: of more days than these, counting jobs would be cheaper.
MOST_DAYS = 31


def rollup_totals(listing: Listing, request: ListQuery) -> Statement | None:
    """The total from the rollups, where they know it: by tenant, type and status, or by tenant, account and status.

    Between two moments they know the whole days, by tenant, type and status; the rest is counted.
    """
    filters, bounds = request.filters, request.ranges.get("created_at", (None, None))
    of_account = {"tenant", "account"} <= filters.keys() <= {"tenant", "account", "status"}
    if request.forms or not (of_account or filters.keys() <= {"tenant", "job_type", "status"}):
        return None
    tenants = filters.get("tenant", [""])
    statement = _TOTALS.format(tenants=tenant_condition(tenants)).encode()
    values: dict[str, object] = {
        "tenant": tenant_value(tenants),
        "accounts": filters.get("account", [""]),
        "types": filters.get("job_type"),
        "statuses": filters.get("status"),
    }
    if bounds == (None, None):
        return Statement(statement, {**values, "first": "-infinity", "last": "-infinity"})
    days = whole_days(bounds)
    # What is counted in part is counted once: a cursor carries it.
    if days is None or request.cursor or of_account or plan_list(listing.served, filters).bounded:
        return None
    first, end = days
    known = Statement(statement, {**values, "first": first, "last": end - timedelta(days=1)})
    since, until = bounds
    around = [(since, _midnight(first)), (_midnight(end), until)]
    return total_around(listing, request, known, "created_at", [one for one in around if one[0] != one[1]])


def whole_days(bounds: Bounds) -> tuple[date, date] | None:
    """UTC days that lie wholly within bounds, [first, last), MOST_DAYS at most; None where there is none."""
    try:
        since, until = (None if bound is None else bound.astimezone(UTC) for bound in bounds)
        last = until.date() if until else None
        if since:
            first = since.date() if since == _midnight(since.date()) else since.date() + timedelta(days=1)
            last = min(last or date.max, first + timedelta(days=MOST_DAYS))
        elif last:
            first = last - timedelta(days=MOST_DAYS)
        else:
            return None
    except OverflowError:  # at either end of the calendar
        return None
    return (first, last) if first < last else None


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
