"""From where each partition is read, and what would be lost."""

from job_tracker.log.records import Span
from job_tracker.rebuild.plan import LogRange as Log
from job_tracker.rebuild.plan import Plan, make_plan
from job_tracker.store.offsets import LivePosition as Live
from job_tracker.store.offsets import Stretch

P, Q = ("jobs.events", 0), ("jobs.events", 1)


def plan(
    live: Live | None,
    log: Log,
    archived: dict[str, Span] | None = None,
    *,
    whole_log: bool = False,
    earlier: dict[str, Span] | None = None,
    gone: Live | None = None,
) -> Plan:
    """A plan of one partition; `gone` is a second one that the broker no longer has."""
    held = {topic_id: {P: span} for topic_id, span in (archived or {}).items()}
    return make_plan(
        live=({P: live} if live else {}) | ({Q: gone} if gone else {}),
        live_earlier=[Stretch(topic_id, P, span) for topic_id, span in (earlier or {}).items()],
        log={P: log},
        archived=held,
        archived_ids={P[0]: list(held)},
        whole_log=whole_log,
    )


def test_the_whole_log_is_read_up_to_the_live_position() -> None:
    made = plan(Live("a", 0, 70), Log("a", Span(0, 100)))
    assert (made.spans(), made.losses) == ({P: Span(0, 70)}, [])


def test_a_partition_that_nobody_has_begun_is_read_for_a_rebuild_only() -> None:
    assert plan(None, Log("a", Span(5, 9))).spans() == {}
    assert plan(None, Log("a", Span(5, 9)), whole_log=True).spans() == {P: Span(5, 9)}


def test_a_trimmed_log_loses_what_the_table_had_read() -> None:
    (loss,) = plan(Live("a", 2, 70), Log("a", Span(10, 100))).losses
    assert "jobs.events[0]: offsets 2 to 10 have left the log" in loss
    assert plan(Live("a", 10, 70), Log("a", Span(10, 100))).losses == []


def test_an_archive_covers_what_was_trimmed_if_it_reaches_the_log() -> None:
    made = plan(Live("a", 0, 70), Log("a", Span(50, 100)), {"a": Span(0, 60)})
    assert (made.spans(), made.losses) == ({P: Span(0, 70)}, [])
    (loss,) = plan(Live("a", 0, 70), Log("a", Span(50, 100)), {"a": Span(0, 40)}).losses
    assert "offsets 40 to 50 are neither in the archive nor in the log" in loss


def test_a_log_that_ends_before_the_table_has_lost_events() -> None:
    made = plan(Live("a", 0, 70), Log("a", Span(0, 60)))
    assert made.spans() == {P: Span(0, 60)}
    assert "ends at 60" in made.losses[0]


def test_a_recreated_topic_needs_the_archive_of_its_old_id() -> None:
    log = Log("b", Span(0, 3))
    (loss,) = plan(Live("a", 0, 70), log).losses
    assert "was recreated: its old offsets 70 to 70" not in loss
    assert "0 to 70 are in no archive" in loss
    made = plan(Live("a", 0, 70), log, {"a": Span(0, 70)})
    assert (made.earlier, made.spans(), made.losses) == ({"a": {P: Span(0, 70)}}, {P: Span(0, 3)}, [])
    assert made.detached == {P}
    (loss,) = plan(Live("a", 0, 70), log, {"a": Span(0, 60)}).losses
    assert "60 to 70" in loss


def test_an_archive_that_ends_before_the_log_begins_is_read_apart_and_its_gap_said_once() -> None:
    log, archived = Log("a", Span(50, 100)), {"a": Span(0, 40)}
    made = plan(Live("a", 0, 70), log, archived, whole_log=True)
    assert (made.earlier, made.spans()) == ({"a": {P: Span(0, 40)}}, {P: Span(50, 70)})
    assert made.losses == ["jobs.events[0]: offsets 40 to 50 are neither in the archive nor in the log"]
    # So the swapped table stands: from 50 on, and besides it what the archive had.
    assert plan(Live("a", 50, 70), log, archived, earlier={"a": Span(0, 40)}).losses == []
    (loss,) = plan(Live("a", 50, 70), log, earlier={"a": Span(0, 40)}).losses
    assert (
        loss == "jobs.events[0]: the table holds offsets 0 to 40 from an archive that is not here, or from before a gap"
    )


def test_a_projector_that_stands_before_the_log_is_brought_to_its_beginning() -> None:
    made = plan(Live("a", 0, 10), Log("a", Span(20, 30)), whole_log=True)
    assert made.spans() == {P: Span(20, 20)}
    assert made.losses == ["jobs.events[0]: offsets 0 to 20 have left the log, and no archive has them"]
    made = plan(Live("a", 0, 10), Log("a", Span(20, 30)), {"a": Span(0, 25)}, whole_log=True)
    assert (made.spans(), made.losses) == ({P: Span(0, 20)}, [])
    # An audit compares what the table has read, no more.
    assert plan(Live("a", 0, 10), Log("a", Span(20, 30)), {"a": Span(0, 25)}).spans() == {P: Span(0, 10)}


def test_a_partition_that_the_broker_no_longer_has_needs_the_archive() -> None:
    made = plan(Live("b", 0, 5), Log("b", Span(0, 5)), gone=Live("a", 3, 9))
    assert made.losses == [
        "jobs.events[1] is in the table, but the broker does not have it: its old offsets 3 to 9 are in no archive"
    ]
    assert (made.detached, made.spans()) == ({Q}, {P: Span(0, 5)})
    assert plan(Live("b", 0, 5), Log("b", Span(0, 5)), gone=Live("a", 3, 3)).losses == []


def test_an_empty_topic_loses_nothing() -> None:
    assert plan(Live("a", 0, 0), Log("a", Span(0, 0))).losses == []
    assert plan(Live("a", 7, 7), Log("a", Span(7, 7)), {"a": Span(2, 7)}).losses == []


def test_a_log_that_ends_before_its_archive_will_give_those_offsets_once_more() -> None:
    for live in (None, Live("a", 0, 100)):
        losses = plan(live, Log("a", Span(0, 90)), {"a": Span(0, 100)}, whole_log=True).losses
        assert "jobs.events[0]: the log ends at 90, but the archive holds messages up to 100" in losses[0]
    assert plan(Live("a", 0, 90), Log("a", Span(0, 90)), {"a": Span(0, 90)}).losses == []


def test_what_was_before_a_table_that_nobody_had_is_told_and_no_loss() -> None:
    made = plan(None, Log("a", Span(60, 90)), {"a": Span(40, 70)}, whole_log=True)
    assert (made.losses, made.sentences()) == ([], made.beginnings)
    assert "jobs.events[0]: the table begins at offset 40" in made.beginnings[0]
    behind_a_gap = plan(None, Log("a", Span(60, 90)), {"a": Span(40, 50)}, whole_log=True)
    assert "jobs.events[0]: the table begins at offset 40" in behind_a_gap.beginnings[0]
    assert "offsets 50 to 60 are neither in the archive nor in the log" in behind_a_gap.losses[0]
    for live, log in ((None, Span(0, 90)), (Live("a", 60, 90), Span(60, 90)), (None, Span(90, 90))):
        assert plan(live, Log("a", log), whole_log=True).beginnings == []


def test_what_the_table_has_read_and_nobody_can_read_again_is_gone() -> None:
    gone = plan(Live("a", 2, 70), Log("a", Span(10, 100))).gone
    assert gone == [Stretch("a", P, Span(2, 10))]
    # Nobody has ever read what lies behind the position.
    assert plan(Live("a", 0, 10), Log("a", Span(20, 30)), whole_log=True).gone == [Stretch("a", P, Span(0, 10))]
    assert plan(Live("a", 0, 70), Log("a", Span(0, 60))).gone == [Stretch("a", P, Span(60, 70))]
    assert plan(Live("a", 3, 70), Log("b", Span(0, 5))).gone == [Stretch("a", P, Span(3, 70))]
    assert plan(Live("b", 0, 5), Log("b", Span(0, 5)), gone=Live("a", 3, 9)).gone == [Stretch("a", Q, Span(3, 9))]
    earlier = plan(Live("a", 50, 70), Log("a", Span(40, 70)), {"a": Span(0, 20)}, earlier={"a": Span(10, 40)})
    assert earlier.gone == [Stretch("a", P, Span(20, 40))]
    assert plan(Live("a", 0, 70), Log("a", Span(50, 100)), {"a": Span(0, 60)}).gone == []
