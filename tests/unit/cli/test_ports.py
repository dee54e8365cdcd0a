"""Which ports a system is asked to use."""

from pathlib import Path

import pytest

from jobtrail.errors import UserError
from jobtrail.home import Home, Ports
from jobtrail.system import running_system


def test_two_parts_on_one_port_are_refused_before_anything_starts(tmp_path: Path) -> None:
    with (
        pytest.raises(UserError, match="Port 22001 is given twice"),
        running_system(Home(tmp_path), Ports(api=22001, kafka=22001), lambda _: None),
    ):
        raise AssertionError
    assert list(tmp_path.iterdir()) == []
