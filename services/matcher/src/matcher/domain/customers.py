"""Which customers may be the same person: by phone numbers and e-mail addresses. resolution.py says what follows."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime

from msgspec import Struct

from matcher.domain.candidates import TITLES, Candidate, ChunkResult
from matcher.domain.emails import email_key
from matcher.domain.phones import Phone, is_filler, read_phones
from matcher.domain.text import same_words
from platforms.company_names import is_company_name
from platforms.person_names import compare

SHARED = 5
"""A number or address that more customers of one platform have is the shop's own or a filler, and is ignored."""
RENUMBERING = datetime(2018, 9, 15, tzinfo=UTC)


class Customer(Struct, frozen=True, omit_defaults=True):
    """A customer as the catalogue has it; `phone` and `phones` in whatever form somebody typed them."""

    name: str | None = None
    phone: str | None = None
    phones: tuple[str, ...] = ()
    email: str | None = None
    updated_at: datetime | None = None

    def numbers(self) -> dict[str, Phone]:
        """The customer's usable numbers by E.164; one form that is ambiguous makes the number so."""
        found: dict[str, Phone] = {}
        for text in dict.fromkeys([*([self.phone] if self.phone else []), *self.phones]):
            for phone in read_phones(text):
                if not is_filler(phone.e164):
                    before = found.get(phone.e164, phone)
                    found[phone.e164] = Phone(phone.e164, before.ambiguous or phone.ambiguous)
        return found

    def keys(self) -> tuple[dict[str, Phone], str | None]:
        """The usable numbers and the key of the e-mail address."""
        return self.numbers(), email_key(self.email)

    def may_have_old_landline(self) -> bool:
        """A company, or a record that nobody has touched since before the numbering change."""
        return is_company_name(self.name) or (self.updated_at is not None and self.updated_at < RENUMBERING)


StoredKeys = Mapping[str, tuple[dict[str, Phone], str | None]]
"""Record id -> what Customer.keys gives."""


class CustomerIndex:
    """All customers of an account, sorted by id, ready to score any range of the hub's.

    Left: of the hub; right: of the channel. titles: what the two platforms are called in sentences. A part of the
    catalogue will do that has with each record all others with a key of it. keys: of both sides, where they are stored.
    """

    def __init__(
        self,
        hub: Mapping[str, Customer],
        channel: Mapping[str, Customer],
        titles: tuple[str, str] = TITLES,
        *,
        keys: tuple[StoredKeys, StoredKeys] | None = None,
    ) -> None:
        self._titles = titles
        of_hub, of_channel = (None, None) if keys is None else keys
        self._left, self._right = _CustomersByKey(hub, of_hub), _CustomersByKey(channel, of_channel)

    def score(self, first: int, last: int) -> ChunkResult:
        """Candidates of the hub's positions first..last (both counted) in the order of ids.

        Counts: phoneVariations (usable numbers read) and sharedKeysIgnored; the channel's customers are counted with
        the first range.
        """
        candidates: list[Candidate] = []
        for left in range(first, last + 1):
            candidates.extend(self._candidates(left))
        variations = sum(len(self._left.phones[left]) for left in range(first, last + 1))
        ignored = 0
        if first == 0:
            variations += sum(map(len, self._right.phones))
            ignored = len(self._left.shared | self._right.shared)
        return ChunkResult(candidates, {"phoneVariations": variations, "sharedKeysIgnored": ignored})

    def _candidates(self, left: int) -> list[Candidate]:
        ours, theirs = self._left, self._right
        by_phone: dict[int, list[str]] = {}
        for number in ours.phones[left]:
            if number not in ours.shared and number not in theirs.shared:
                for right in theirs.by_key.get(number, ()):
                    by_phone.setdefault(right, []).append(number)
        email = ours.emails[left]
        by_email: set[int] = set()
        if email is not None and email not in ours.shared and email not in theirs.shared:
            by_email.update(theirs.by_key.get(email, ()))
        return [
            self._candidate(left, right, by_phone.get(right, []), right in by_email)
            for right in sorted(by_phone.keys() | by_email)
        ]

    def _candidate(self, left: int, right: int, numbers: list[str], same_email: bool) -> Candidate:
        doubts = self._doubts(left, right, numbers, same_email)
        score = 0.6 if doubts else 1.0 if numbers and same_email else 0.99 if numbers else 0.95
        return Candidate(
            self._left.ids[left],
            self._right.ids[right],
            "phone" if numbers else "email",
            score,
            "; ".join(doubts) or None,
            same_name=same_words(self._left.customers[left].name, self._right.customers[right].name),
        )

    def _doubts(self, left: int, right: int, numbers: list[str], same_email: bool) -> list[str]:
        """What speaks against one person. No name, number or address is quoted: a reason is read by many."""
        shared = "phone and e-mail" if numbers and same_email else "phone" if numbers else "e-mail"
        doubts: list[str] = []
        verdict = compare(self._left.customers[left].name, self._right.customers[right].name)
        if verdict == "differ":
            doubts.append(f"both have the {shared}, the names differ")
        other_email = not same_email and self._left.emails[left] is not None and self._right.emails[right] is not None
        if other_email and verdict not in {"agree", "differ"}:
            doubts.append("both have the phone, the e-mails differ and the names do not settle it")
        elif other_email and verdict == "differ":
            doubts.append("the e-mails differ, too")
        if not same_email and all(self._old_landline(left, right, number) for number in numbers):
            doubts.append("083 may be an old landline of Ho Chi Minh City")
        platforms = zip((self._left, self._right), (left, right), self._titles, strict=True)
        for customers, position, title in platforms:
            doubts.extend(f"another customer of {title} has the same {kind}" for kind in customers.shares(position))
        return doubts

    def _old_landline(self, left: int, right: int, number: str) -> bool:
        pair = ((self._left, left), (self._right, right))
        return any(
            side.phones[at][number].ambiguous and side.customers[at].may_have_old_landline() for side, at in pair
        )


class _CustomersByKey:
    """The customers of one platform with their keys. shared: keys that too many of them have."""

    def __init__(self, customers: Mapping[str, Customer], stored: StoredKeys | None) -> None:
        self.ids = sorted(customers)
        self.customers = [customers[one] for one in self.ids]
        keys = [customers[one].keys() if stored is None else stored[one] for one in self.ids]
        self.phones = [phones for phones, _ in keys]
        self.emails = [email for _, email in keys]
        self.by_key: dict[str, list[int]] = defaultdict(list)
        for position, (phones, email) in enumerate(zip(self.phones, self.emails, strict=True)):
            for key in (*phones, *([] if email is None else [email])):
                self.by_key[key].append(position)
        self.shared = {key for key, owners in self.by_key.items() if len(owners) > SHARED}

    def shares(self, position: int) -> list[str]:
        """Which of a customer's keys another customer of this platform has, too, without the shared ones."""
        kinds = [("phone", key) for key in self.phones[position]]
        email = self.emails[position]
        kinds += [] if email is None else [("e-mail", email)]
        return list(dict.fromkeys(kind for kind, key in kinds if 1 < len(self.by_key[key]) <= SHARED))
