"""The local system's folder: its key is made once, whoever asks at the same time."""

import socket
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from jobtrail.errors import TrackerUnreachable, UserError
from jobtrail.home import Home
from jobtrail.tracker import Tracker
from platforms.cipher import Cipher

STARTS = 8


def test_all_who_start_at_once_have_one_whole_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JOBTRAIL_SECRET_KEY", raising=False)
    for number in range(25):
        folder, together = tmp_path / str(number), Barrier(STARTS)

        def ask(_start: int, folder: Path = folder, together: Barrier = together) -> str:
            together.wait()
            return Home(folder).secret_key()

        with ThreadPoolExecutor(STARTS) as threads:
            keys = set(threads.map(ask, range(STARTS)))
        assert keys == {(folder / "secret.key").read_text("ascii")}
        Cipher(*keys)  # which takes nothing but a whole key
        assert [path.name for path in folder.iterdir()] == ["secret.key"]
        assert stat.S_IMODE((folder / "secret.key").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("http://[::1", "is not an address"),
        ("http://127.0.0.1:abc", "is not an address"),
        ("http://127.0.0.1\x07", "is not an address"),
        ("nonsense", "an example is http://127.0.0.1:8400"),
    ],
)
def test_an_invalid_address_is_refused(given: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOBTRAIL_API", given)
    with pytest.raises(UserError, match=said):
        Home().api()


def test_the_password_of_an_address_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    monkeypatch.setenv("JOBTRAIL_API", f"http://lan:geheim@127.0.0.1:{port}")
    with pytest.raises(TrackerUnreachable, match=f"The tracker at http://127.0.0.1:{port} does not answer"):
        Tracker(Home().api()).job("job-1")
