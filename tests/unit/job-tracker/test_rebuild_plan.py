"""From where each partition is read, and what would be lost."""

from job_tracker.projector.broker import Span
from job_tracker.rebuild.plan import Live, Log, make_plan

P = ("jobs.events", 0)


def plan(live: Live | None, log: Log, archived: dict[str, Span] | None = None, whole_log: bool = False):
    held = {topic_id: {P: span} for topic_id, span in (archived or {}).items()}
    return make_plan({P: live} if live else {}, {P: log}, held, {P[0]: list(held)}, whole_log)


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
    assert (made.earlier, made.spans(), made.losses) == (["a"], {P: Span(0, 3)}, [])
    (loss,) = plan(Live("a", 0, 70), log, {"a": Span(0, 60)}).losses
    assert "60 to 70" in loss
