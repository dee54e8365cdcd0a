"""The verdict on the workers' writes: a repeat is excused by a kill that came between, and by nothing else."""

from typing import Any

from tests.chaos.worker_verdict import WORKERS, Kill, Write, check_scope, check_writes, writes_by_place


def request(at: float, item: str = "1", key: str | None = None, price: int = 5) -> dict[str, Any]:
    """The sandbox's entry for a request that wrote one item and took a tenth of a second."""
    written = {"kind": "price", "id": item, "outcome": "accepted", "values": {"price": price}, "idempotency_key": key}
    return {"account": "shop", "time": at, "duration_ms": 100, "items": [written]}


def violations(*requests: dict[str, Any], kills: tuple[float, ...] = ()) -> int:
    return len(check_writes(writes_by_place(list(requests)), [Kill("syncer", at, at) for at in kills]))


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


def test_what_never_happened_is_told() -> None:
    writes = [Write(0, 0, {"idempotency_key": key}) for key in ("a", None)]
    kills = [Kill(worker, 0, 0) for worker in WORKERS]
    assert check_scope({("place",): writes}, kills) == []
    assert len(check_scope({("place",): writes[:1]}, kills[1:])) == 2
    assert len(check_scope({}, [])) == len(WORKERS) + 2
