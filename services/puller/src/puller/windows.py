"""Time windows of incremental pulls: where one ends, where the next begins, and why no change is lost between them.

A mark M says: what the platform stamped before M is stored. A pull asks for everything from M on (`>=`, because several
changes share a second), writes it, and moves the mark to its own begin less OVERLAP. That is right because:

- **Whose clock.** Stamps are the platform's. So the window ends at the platform's own clock: the header Date of the
  answer, less the time that the answer took, is at most what that clock showed when the first page was asked for. What
  changes later is stamped later, and the next pull asks for it, whether this one saw it or not. A platform without a
  Date leaves our clock. Of both the earlier one is taken: that is never too late, and a Date that is years ahead, which
  would hide all changes until then, does no harm.
- **Overlap.** The clocks of one platform's servers differ, a stamp may be older than its commit, a search index follows
  its database, and our clock may be 90 s off. OVERLAP covers all of these together. What is read twice is found
  unchanged, which costs a part of a page.
- **Not the greatest stamp seen.** One record from a clock that is a day ahead would move the mark a day ahead.
- **No upper bound in the list.** With one, a record that changes while the list is read leaves it; where a list is
  paged by count, the record behind it moves to a page that is already read, and is lost. Without one records only join.
  Lists go by id (Nhanh's products and stock, Shopify), where a record keeps its place. The order of Nhanh's customers
  is not documented, but Nhanh's cursors hold values of the last record: a record that changes moves to the unread end,
  or is stamped later than this window's end.
- **A fixed window.** It is stored with the first page. A later attempt asks for the same one with the stored cursor,
  and the mark moves in the transaction of the last page only, and only forward.
- **Deletions** have no stamp: a full pull sees them, and the job's metadata says when the last one began.

Without a mark everything is read, as a full pull does, but nothing is marked as delisted. A full pull that comes to its
end sets the mark as well. A mark belongs to the shop it was read from: an account that is connected to another shop has
none.
"""

from datetime import datetime, timedelta
from typing import Final

OVERLAP: Final = timedelta(minutes=5)


def earliest(ours: datetime, theirs: datetime | None) -> datetime:
    """The end of a window: the platform's clock (None = it shows none) or ours, whichever is behind."""
    return ours if theirs is None else min(ours, theirs)


def spans(since: datetime, until: datetime, longest: timedelta) -> list[tuple[datetime, datetime]]:
    """The time from `since` to `until` in parts of at most `longest`, both ends included; parts share their ends."""
    found: list[tuple[datetime, datetime]] = []
    while since + longest < until:
        found.append((since, since + longest))
        since += longest
    return [*found, (since, until)]
