"""Kills, absences, pauses and lost messages: the job still ends with the right counts, each result written once."""

import json
import signal
from typing import Any

import pytest

NUMBER = 120  # six chunks of 20


@pytest.fixture
def filled(room):
    room.put_products("nhanh", {f"{n:04}": _product(n, "Áo thun") for n in range(NUMBER)})
    room.put_products("shopify", {f"gid-{n:04}": _product(n, "ao thun") for n in range(NUMBER)})
    # Every write of a result is noted, so that a second one could be seen.
    room.run("create table matcher.written (job_id text, chunk_no integer)")
    room.run(
        "create function matcher.note_write() returns trigger language plpgsql as $$ begin"
        " insert into matcher.written values (new.job_id, new.chunk_no); return new; end $$"
    )
    room.run(
        "create trigger note_write after update of result on matcher.chunk for each row"
        " execute function matcher.note_write()"
    )
    return room


def _product(n: int, title: str) -> dict[str, Any]:
    return {"title": f"{title} kiểu {n} màu xanh", "sku": f"AT-{n:04}"}


def slow(room, seconds: float) -> None:
    """Agents need this long for the write of each chunk."""
    room.run(
        "create or replace function matcher.dawdle() returns trigger language plpgsql as $$ begin"
        f" perform pg_sleep({seconds}); return new; end $$"
    )
    room.run(
        "create or replace trigger dawdle before update of result on matcher.chunk for each row"
        " execute function matcher.dawdle()"
    )


def right(room, job_id: str, end) -> None:
    assert end.data.outcome == "success"
    counters = end.data.counters
    assert (counters.total, counters.processed, counters.successful) == (NUMBER, NUMBER, NUMBER)
    assert end.data.metadata["created"] == NUMBER
    assert room.matches() == {(f"{n:04}", f"gid-{n:04}"): "auto" for n in range(NUMBER)}
    written = room.rows("select chunk_no, count(*) as times from matcher.written where job_id = %s group by 1", job_id)
    assert {row["chunk_no"]: row["times"] for row in written} == dict.fromkeys(range(6), 1)
    assert room.rows("select count(*) as n from matcher.snapshot") == [{"n": 0}]


def test_a_killed_agent_is_followed_by_another(filled, ended, wait_until, tmp_path):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    slow(filled, 3)
    agent = filled.start("agent", JOBTRAIL_AGENT_SLOT="one", TMPDIR=str(temporary))
    filled.start(JOBTRAIL_CHUNK_OVERDUE="30")
    job_id = filled.request("AUTO_MATCH_PRODUCTS")
    wait_until(lambda: filled.scored(job_id) >= 1, "no chunk was scored")
    agent.send_signal(signal.SIGKILL)
    agent.wait()
    assert filled.scored(job_id) < 6, "the agent was killed too late to prove anything"
    slow(filled, 0)
    filled.start("agent", JOBTRAIL_AGENT_SLOT="one", TMPDIR=str(temporary))
    right(filled, job_id, ended(job_id))
    assert len([*temporary.iterdir()]) == 1, "each agent leaves files of its own behind"


@pytest.mark.long
def test_a_killed_owner_is_followed_by_another_attempt(filled, ended, wait_until):
    slow(filled, 3)
    filled.start("agent")
    owner = filled.start()
    job_id = filled.request("AUTO_MATCH_PRODUCTS")
    wait_until(lambda: filled.scored(job_id) >= 1, "no chunk was scored")
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    assert filled.inbox(job_id)["state"] == "running"
    slow(filled, 0)
    filled.start()
    end = ended(job_id)
    assert end.data.attempt == 2
    assert end.data.metadata["chunksResent"] == 0, "what was scored or is still waiting in Kafka was sent again"
    right(filled, job_id, end)


def test_a_stopping_owner_gives_its_job_back_at_once(filled, ended, wait_until):
    slow(filled, 3)
    filled.start("agent")
    owner = filled.start()
    job_id = filled.request("AUTO_MATCH_PRODUCTS")
    wait_until(lambda: filled.scored(job_id) >= 1, "no chunk was scored")
    owner.send_signal(signal.SIGTERM)
    assert owner.wait(120) == 0
    assert filled.inbox(job_id)["state"] == "queued"
    slow(filled, 0)
    filled.start()
    right(filled, job_id, ended(job_id))


def test_chunks_wait_for_the_first_agent(filled, ended, wait_until):
    filled.start(JOBTRAIL_CHUNK_OVERDUE="3")
    job_id = filled.request("AUTO_MATCH_PRODUCTS")
    wait_until(lambda: any(chunk["times_sent"] > 1 for chunk in filled.chunks(job_id)), "nothing is sent again")
    assert filled.inbox(job_id)["state"] == "running"
    filled.start("agent")
    end = ended(job_id)
    assert end.data.metadata["chunksResent"] >= 6
    right(filled, job_id, end)


@pytest.mark.long
def test_a_lost_message_is_sent_again(filled, ended, wait_until):
    # The bell of one chunk never rings: its message is taken out of the outbox before it leaves.
    filled.run(
        "create function matcher.lose() returns trigger language plpgsql as $$ begin"
        " if new.key like '%/3' and not exists (select from matcher.lost) then"
        " insert into matcher.lost values (new.key); return null; end if; return new; end $$"
    )
    filled.run("create table matcher.lost (key text)")
    filled.run("create trigger lose before insert on matcher.outbox for each row execute function matcher.lose()")
    filled.start("agent")
    filled.start(JOBTRAIL_CHUNK_OVERDUE="3")
    job_id = filled.request("AUTO_MATCH_PRODUCTS")
    end = ended(job_id)
    assert filled.rows("select key from matcher.lost") == [{"key": f"{job_id}/3"}]
    assert end.data.metadata["chunksResent"] >= 1
    right(filled, job_id, end)


def test_a_cancelled_job_ends_and_its_chunks_are_left_alone(filled, ended, wait_until):
    filled.start()
    job_id = filled.request("AUTO_MATCH_PRODUCTS")
    wait_until(lambda: len(filled.chunks(job_id)) == 6, "nothing was planned")
    filled.control("cancel", job_id)
    assert ended(job_id).data.outcome == "cancelled"
    filled.start("agent")
    other = filled.request("AUTO_MATCH_PRODUCTS")
    right(filled, other, ended(other))
    assert filled.scored(job_id) == 0


def test_a_paused_job_is_not_worked_on_until_it_goes_on(filled, ended, wait_until):
    filled.start()
    job_id = filled.request("AUTO_MATCH_PRODUCTS")
    wait_until(lambda: len(filled.chunks(job_id)) == 6, "nothing was planned")
    filled.control("pause", job_id)
    wait_until(lambda: filled.inbox(job_id)["state"] == "queued", "the job was not paused")
    filled.start("agent")
    put_back = "select count(*) as n from matcher.chunk where job_id = %s and sent_at = '-infinity'"
    wait_until(lambda: filled.rows(put_back, job_id) == [{"n": 6}], "the chunks were not put back")
    assert filled.scored(job_id) == 0
    filled.control("resume", job_id)
    right(filled, job_id, ended(job_id))


def test_an_agent_survives_messages_that_are_no_chunks(filled, ended, wait_until):
    filled.send_chunk(b"\xff no json")
    filled.send_chunk(json.dumps({"type": "matcher.chunk.v1", "subject": "x"}).encode())
    filled.start("agent")
    filled.start()
    job_id = filled.request("AUTO_MATCH_PRODUCTS")
    right(filled, job_id, ended(job_id))
    wait_until(lambda: len(filled.dead_letters()) == 2, "the letters did not leave")
    letters = filled.dead_letters()
    assert {letter.data.consumer for letter in letters} == {"matcher-agent"}
    assert {letter.data.topic for letter in letters} == {filled.topics.chunks}


def test_a_chunk_that_cannot_be_scored_ends_its_job_as_an_error(filled, ended, wait_until):
    filled.start()
    job_id = filled.request("AUTO_MATCH_PRODUCTS")
    wait_until(lambda: len(filled.chunks(job_id)) == 6, "nothing was planned")
    filled.run("""update matcher.snapshot set record = '"no object"' where record_id = '0000'""")
    filled.start("agent")
    end = ended(job_id)
    assert (end.data.outcome, end.data.error.category, end.data.error.code) == ("error", "INTERNAL", "CHUNK_FAILED")
    assert "chunk" in end.data.error.message


@pytest.mark.long
def test_a_stopped_agent_leaves_at_once_though_a_chunk_is_in_work(filled, ended, wait_until):
    slow(filled, 180)
    agent = filled.start("agent")
    filled.start()
    job_id = filled.request("AUTO_MATCH_PRODUCTS")
    wait_until(lambda: any(chunk["tries"] for chunk in filled.chunks(job_id)), "no chunk was begun")
    agent.send_signal(signal.SIGTERM)
    assert agent.wait(120) == 0
    filled.run(
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where datname = current_database() and wait_event = 'PgSleep'"
    )
    slow(filled, 0)
    filled.start("agent")
    right(filled, job_id, ended(job_id))
