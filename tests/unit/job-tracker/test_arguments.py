"""What is said to somebody who calls a part of the tracker wrongly."""

import pytest

from job_tracker.arguments import read_arguments


@pytest.mark.parametrize("jobs", ["0", "-1", "many"])
def test_an_audit_of_no_jobs_is_refused(
    jobs: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It would find no difference."""
    monkeypatch.setattr("sys.argv", ["job_tracker", "audit", "--jobs", jobs])
    with pytest.raises(SystemExit) as ended:
        read_arguments()
    assert ended.value.code == 2
    assert "argument --jobs" in capsys.readouterr().err
