"""The verdict on the workers' writes: a repeat is excused by a kill that came between, and by nothing else."""

from typing import Any

from tests.chaos.worker_verdict import (
    KILL,
    PAUSE,
    WORKERS,
    Strike,
    Write,
    check_counts,
    check_recorded,
    check_requests,
    check_scope,
    check_writes,
    writes_by_place,
)


def request(at: float, item: str = "1", key: str | None = None, price: int = 5) -> dict[str, Any]:
    """The sandbox's entry for a request that wrote one item and took a tenth of a second."""
    written = {"kind": "price", "id": item, "outcome": "accepted", "values": {"price": price}, "idempotency_key": key}
    return {"account": "shop", "time": at, "duration_ms": 100, "items": [written]}


def violations(*requests: dict[str, Any], kills: tuple[float, ...] = ()) -> int:
    return len(check_writes(writes_by_place(list(requests)), [Strike("syncer", KILL, at, at) for at in kills]))


def test_a_kill_excuses_one_repeat_of_what_was_written_before_it() -> None:
    assert violations(request(10), request(40), kills=(10.05,)) == 0
    assert violations(request(10), request(40), request(70), kills=(10.05, 50)) == 0


def test_a_repeat_without_a_kill_between_is_told() -> None:
    assert violations(request(40), request(70)) == 1
    assert violations(request(40), request(70), kills=(20, 80)) == 1
    assert violations(request(40), request(70), request(71), kills=(50,)) == 1


def test_an_idempotency_key_takes_no_excuse() -> None:
    assert violations(request(10, key="a"), request(40, key="a"), kills=(10.05,)) == 1


def test_other_values_are_told() -> None:
    assert violations(request(10), request(40, price=6), kills=(10.05,)) == 1


def test_what_is_told_is_what_was_written() -> None:
    def item(*fields: str, action: str = "updated") -> dict[str, Any]:
        changes = [{"name": field} for field in fields]
        return {"account": "shop", "job_id": "sync", "action": action, "changes": changes}

    def job(updated: int) -> dict[str, Any]:
        return {"type": "PRODUCT_SYNC", "account": "shop", "job_id": "sync", "metadata": {"updated": updated}}

    once, again, other = request(10), request(40), request(70, item="2")
    assert check_recorded([item("price")], [once, again]) == []
    assert len(check_recorded([item("price")], [once, other])) == 1
    assert len(check_recorded([item("price")], [])) == 1
    assert len(check_recorded([], [once])) == 1
    assert len(check_recorded([item("name")], [once])) == 2
    assert check_counts([job(1)], [item("price"), item(action="skipped")]) == []
    assert len(check_counts([job(2)], [item("price")])) == 1


def test_more_requests_than_there_were_are_told() -> None:
    def job(requests: int) -> dict[str, Any]:
        return {"type": "PULL_SHOPIFY_PRODUCTS", "account": "shop", "metadata": {"requests": requests}}

    had = [{"account": "shop", "platform": "shopify"}] * 2
    assert check_requests([job(1), job(1)], had) == []
    assert check_requests([job(1)], had) == []
    assert len(check_requests([job(1), job(2)], had)) == 1


def test_what_never_happened_is_told() -> None:
    writes = [Write(0, 0, {"idempotency_key": key}) for key in ("a", None)]
    strikes = [Strike(worker, action, 0, 0) for worker in WORKERS for action in (KILL, PAUSE)]
    assert check_scope({("place",): writes}, strikes) == []
    assert len(check_scope({("place",): writes[:1]}, strikes[1:])) == 2
    assert len(check_scope({}, [])) == 2 * len(WORKERS) + 2
