"""The guards: which changes are held back, item by item, and which stop a whole run, because they may be mistakes.

There are three rules. None applies to changes that a person has confirmed.

1. A price that would go to zero, to ten times or to a tenth of what it was, and a name that would become another
   person's, hold the item back.
2. Stock that goes to zero is usual. Where the stock of more than `sellout_share` of the items with stock, and of more
   than `sellout_floor` of them, would go to zero, all of these items are held back.
3. Where more than `max_change_share` of the known items, and more than `max_change_floor` of them, would change, the
   whole run stops. Known are items that a sync has written or found right before. The same for the share of all
   customers whose name would become another person's.

Rules 2 and 3 count all syncs of the account to the channel within the last hour, so that many small jobs have the same
limit as one large job.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from msgspec import Struct

from platforms.field_names import NAME, PRICE, location_of, metafield_key
from platforms.settings import AccountSettings
from syncer.domain.fields import last_written_of
from syncer.domain.plan import Change

_TIMES = 10

Approved = Mapping[tuple[str, str], tuple[str, str]]
"""(remote id, field) -> value before and after, as stored: what a person has confirmed."""
SamePerson = Callable[[str | None, str | None], bool]


class AccountTotals(Struct, frozen=True):
    """Numbers of an account's linked items of one channel: all, known ones, and those with stock in the channel."""

    mapped: int = 0
    known: int = 0
    stocked: int = 0


@dataclass(frozen=True, slots=True)
class AccountState:
    """The totals of an account, and what its syncs of the last hour have changed without a confirmation.

    changed, sold_out: numbers of items, without those that are checked now, that were known and have changed, and whose
    stock went to zero.
    """

    totals: AccountTotals
    changed: int = 0
    sold_out: int = 0


@dataclass(frozen=True, slots=True)
class ItemChanges:
    """An item that is checked: its changes without those that a person has confirmed."""

    remote_id: str
    known: bool
    changes: tuple[Change, ...]


@dataclass(slots=True)
class ChangeCounts:
    """How many items of a plan or a batch count for the rules of shares."""

    changed: int = 0
    sold_out: int = 0
    renamed: int = 0

    def add(self, item: ItemChanges, same_person: SamePerson) -> None:
        """Count one item."""
        self.changed += item.known and counts_as_changed(item.changes)
        self.sold_out += sells_out(item.changes)
        self.renamed += any(renames(change, same_person) for change in item.changes)


@dataclass(frozen=True, slots=True)
class GuardDecision:
    """held: remote id -> why it is held back. stop: why the whole run stops. counts: what counted for it."""

    held: Mapping[str, str]
    stop: str | None
    counts: ChangeCounts


def unapproved(remote_id: str, changes: Iterable[Change], approved: Approved, *, exactly: bool) -> tuple[Change, ...]:
    """The changes that no person has confirmed.

    exactly: the value before must be the confirmed one, too. False is for a plan, which has the believed value only.
    """

    def confirmed(change: Change) -> bool:
        found = approved.get((remote_id, change.field))
        if found is None or found[1] != last_written_of(change.field, change.after):
            return False
        return not exactly or found[0] == last_written_of(change.field, change.before)

    return tuple(change for change in changes if not confirmed(change))


def suspicion(change: Change, same_person: SamePerson) -> str | None:
    """Why this one change may be a mistake, None if it is usual."""
    if renames(change, same_person):
        return "the name would become another person's"
    if change.field != PRICE:
        return None
    before, after = _number(change.before), _number(change.after)
    if before is None or after is None or before <= 0:
        return None  # from nothing, every price is new
    if after == 0:
        return f"the price would go from {change.before} to zero"
    if after >= before * _TIMES or after * _TIMES <= before:
        return f"the price would go from {change.before} to {change.after}"
    return None


def renames(change: Change, same_person: SamePerson) -> bool:
    """Whether a name would become another person's."""
    return change.field == NAME and not same_person(change.before, change.after)


def sells_out(changes: Iterable[Change]) -> bool:
    """Whether a stock would go from something to zero."""
    return any(
        location_of(change.field) is not None
        and (_number(change.before) or Decimal(0)) > 0
        and _number(change.after) == 0
        for change in changes
    )


def counts_as_changed(changes: Iterable[Change]) -> bool:
    """Whether anything but our own metafields changes: those are totals that change every day."""
    return any(metafield_key(change.field) is None for change in changes)


def check_batch(
    items: Sequence[ItemChanges],
    state: AccountState,
    settings: AccountSettings,
    same_person: SamePerson,
    sellouts: str | None = None,
) -> GuardDecision:
    """Check the changes of a batch as a whole, before the first of them is written.

    sellouts: why the plan of the whole run holds back every item whose stock goes to zero; None: it does not.
    """
    counts = ChangeCounts()
    for item in items:
        counts.add(item, same_person)
    sellouts = sellouts or sellout_reason(counts, state, settings)
    held: dict[str, str] = {}
    for item in items:
        reasons = [reason for change in item.changes if (reason := suspicion(change, same_person)) is not None]
        if sellouts is not None and sells_out(item.changes):
            reasons.append(sellouts)
        if reasons:
            held[item.remote_id] = "; ".join(reasons)
    return GuardDecision(held, stop_reason(counts, state, settings), counts)


def sellout_reason(counts: ChangeCounts, state: AccountState, settings: AccountSettings) -> str | None:
    """Why items whose stock goes to zero are held back, None if so many are usual."""
    emptied, stocked = state.sold_out + counts.sold_out, state.totals.stocked
    if not exceeds(emptied, stocked, settings.sellout_share, settings.sellout_floor):
        return None
    return (
        f"the stock of {emptied} of {stocked} items with stock would go to zero{_earlier(state.sold_out)}, "
        f"more than the allowed share of {settings.sellout_share:g} (sellout_share)"
    )


def stop_reason(counts: ChangeCounts, state: AccountState, settings: AccountSettings) -> str | None:
    """Why the whole run stops, None if so many changes are usual."""
    changed = state.changed + counts.changed
    share, floor = settings.max_change_share, settings.max_change_floor
    allowed = f"more than the allowed share of {share:g} (max_change_share)"
    if exceeds(changed, state.totals.known, share, floor):
        return f"{changed} of {state.totals.known} known items would change{_earlier(state.changed)}, {allowed}"
    if exceeds(counts.renamed, state.totals.mapped, share, floor):
        return f"{counts.renamed} of {state.totals.mapped} customers would get another person's name, {allowed}"
    return None


def _earlier(count: int) -> str:
    return f", {count} of them by syncs of the last hour" if count else ""


def exceeds(count: int, of: int, share: float, floor: int) -> bool:
    """Whether so many are more than the share of all, and more than the floor."""
    return count > floor and count > share * of


def _number(text: str | None) -> Decimal | None:
    if text is None:
        return None
    try:
        return Decimal(text)
    except InvalidOperation:
        return None
