"""What a run changes: its own rows only, and counted so that a second run on the same data says so."""

import msgspec

from matcher.domain.candidates import Candidate, ChunkResult
from matcher.domain.mappings import DRIFT, Match, compare, known
from matcher.domain.resolution import Decision

LINK = Candidate("1", "a", "sku", 0.99)
OTHER = Candidate("2", "b", "title", 0.8)
REVIEW = Candidate("3", "c", "title", 0.4)


def test_a_first_run_creates_and_a_second_changes_nothing():
    decision = Decision([LINK, OTHER], [REVIEW])
    first = compare([], decision)
    assert [row.pair for row in first.created] == [("1", "a"), ("2", "b"), ("3", "c")]
    assert ([row.pair for row in first.new_links], first.unchanged_links) == ([("1", "a"), ("2", "b")], 0)
    second = compare(first.created, decision)
    assert (second.created, second.updated, second.removed, second.new_links) == ([], [], [], [])
    assert (second.unchanged_links, second.lost_links) == (2, 0)


def test_links_that_no_longer_hold_go_and_reviews_become_links():
    before = compare([], Decision([LINK], [REVIEW])).created
    run = compare(before, Decision([Candidate("3", "c", "title", 0.9)], []))
    assert [row.pair for row in run.removed] == [("1", "a")]
    assert run.updated == [Match("3", "c", "auto", "title", 0.9)]
    assert ([row.pair for row in run.new_links], run.changed_links, run.lost_links) == ([("3", "c")], [], 1)


def test_a_link_demoted_to_a_review_is_lost():
    before = compare([], Decision([LINK], [])).created
    run = compare(before, Decision([], [LINK]))
    assert ([row.status for row in run.updated], run.lost_links) == (["review"], 1)


def test_a_link_with_another_score_is_changed():
    before = compare([], Decision([LINK], [])).created
    run = compare(before, Decision([Candidate("1", "a", "sku", 1.0)], []))
    assert ([row.score for row in run.changed_links], run.unchanged_links) == ([1.0], 0)


def test_a_names_score_may_drift_a_little():
    before = compare([], Decision([OTHER], [])).created
    near, far = (Candidate("2", "b", "title", 0.8 + DRIFT * times) for times in (0.9, 1.1))
    assert compare(before, Decision([near], [])).unchanged_links == 1
    assert [row.pair for row in compare(before, Decision([far], [])).changed_links] == [("2", "b")]


def test_rows_of_people_are_known_and_never_touched():
    rows = [Match("1", "b", "confirmed", "manual", 1.0), Match("2", "b", "rejected", "title", 0.9)]
    assert known(rows).confirmed == {"1": "b"}
    assert set(known(rows).rejected) == {("2", "b")}
    run = compare(rows, Decision([], []))
    assert (run.created, run.updated, run.removed) == ([], [], [])


def test_a_result_is_stored_under_the_names_that_the_last_release_reads():
    stored = msgspec.to_builtins(ChunkResult([LINK], {}))
    assert stored["candidates"] == [{"nhanh_id": "1", "shopify_id": "a", "method": "sku", "score": 0.99}]
    assert msgspec.convert(stored, ChunkResult).candidates == [LINK]
