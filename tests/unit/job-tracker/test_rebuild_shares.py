"""How partitions are divided among processes."""

from hypothesis import given
from hypothesis import strategies as st

from job_tracker.log.records import Span
from job_tracker.rebuild.plan import offsets
from job_tracker.rebuild.shares import divide

SPANS = st.dictionaries(
    st.tuples(st.sampled_from(["jobs.events", "jobs.control"]), st.integers(0, 9)),
    st.tuples(st.integers(0, 1000), st.integers(1, 1000)).map(lambda pair: Span(pair[0], pair[0] + pair[1])),
    min_size=1,
)


@given(SPANS, st.integers(1, 12))
def test_every_partition_is_in_one_share_and_none_is_empty(spans, most) -> None:
    shares = divide(spans, most)
    assert len(shares) == min(most, len(spans))
    assert all(shares)
    merged = [item for share in shares for item in share.items()]
    assert sorted(merged) == sorted(spans.items())


@given(SPANS, st.integers(1, 12))
def test_no_share_is_larger_than_the_smallest_by_more_than_a_partition(spans, most) -> None:
    shares = divide(spans, most)
    largest, smallest = max(shares, key=offsets), min(shares, key=offsets)
    assert offsets(largest) - offsets(smallest) <= min(span.high - span.low for span in largest.values())
