"""What an archive refuses: files that are not its own, logs that it cannot go on with, and a folder that is none."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zstandard
from tests.sync_log import read_sync_log
from tests.tracker_actions import TOMORROW, archive_days, recreate, run, trim

from job_tracker import bootstrap_archive
from job_tracker.archive.catalogue import MANIFEST, Manifest, sealed
from job_tracker.errors import NotArchived

Change = Callable[[dict[str, Any]], object]


@pytest.fixture
def folder(system: Any, stream: Any, tmp_path: Path) -> Path:
    """An archive of some jobs, all in partition 0 of the events."""
    for event in stream.jobs(3):
        system.send_raw(json.dumps(event).encode(), key=b"key", partition=0)
    system.flush()
    archive_days(system, tmp_path / "archive")
    return tmp_path / "archive"


def manifest_of(folder: Path) -> Path:
    (path,) = folder.rglob(f"*jobs.events/*/*/{MANIFEST}")
    return path


def refused(system: Any, folder: Path, *parts: str) -> str:
    """The one sentence with which it ends."""
    done = run(system, *parts, folder=folder)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stdout + done.stderr
    return done.stderr


@pytest.mark.long
def test_a_manifest_that_somebody_changed_is_refused(*, system: Any, folder: Path) -> None:
    path = manifest_of(folder)
    whole = path.read_bytes()
    assert run(system, "archive", "--verify", folder=folder).returncode == 0
    changes: list[tuple[str, Change]] = [
        ("its SHA-256 differs", lambda manifest: manifest["parts"][0].update(to=manifest["parts"][0]["to"] + 3)),
        (">= 0", lambda manifest: manifest["parts"][0].update({"from": -5})),
        ("its SHA-256 differs", lambda manifest: manifest.update(parts=[])),
        ("not of its partition", lambda m: (m["parts"][0].update(file="1\0.zst"), m.pop("sha256"))),
    ]
    for said, change in changes:
        manifest = json.loads(whole)
        change(manifest)
        path.write_text(json.dumps(manifest))
        sentence = refused(system, folder, "archive", "--verify")
        assert str(path) in sentence
        assert said in sentence
    deep = b'{"more":' + b"[" * 100_000 + b"]" * 100_000 + b"," + whole.lstrip(b"{ \n")
    for content in (whole + b"\xff", whole.replace(b"jobs.events", b"jobs\xffevents"), deep, b""):
        path.write_bytes(content)
        assert f"{path} cannot be read" in refused(system, folder, "rebuild")


def test_a_folder_is_verified_as_a_whole(*, system: Any, folder: Path) -> None:
    for nothing in (folder / "nothing", manifest_of(folder)):
        assert f"there is no archive in {nothing}" in refused(system, nothing, "archive", "--verify")
    day = manifest_of(folder).parent
    for path in (day / "77.jsonl.zst", day.with_name("2020-01-01") / "0.jsonl.zst"):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
        assert f"{path} is in no manifest" in refused(system, folder, "archive", "--verify")
        path.unlink()
    # An interrupted run leaves files of the day after the last one, which the next run writes anew.
    unfinished = day.with_name("2999-01-01") / "0.jsonl.zst"
    unfinished.parent.mkdir()
    unfinished.write_bytes(b"half")
    done = run(system, "archive", "--verify", folder=folder)
    assert (done.returncode, f"{day.name} to {day.name}" in done.stdout) == (0, True), done.stderr
    assert f"{unfinished.parent.relative_to(folder)} has no manifest" in " ".join(done.stdout.split())


def test_what_nobody_has_of_an_empty_table_is_told(*, system: Any, stream: Any, folder: Path) -> None:
    first = manifest_of(folder)
    end = json.loads(first.read_bytes())["parts"][0]["to"]
    system.send_raw(json.dumps(stream.job(9)[0]).encode(), key=b"key", partition=0)
    system.flush()
    archive_days(system, folder, TOMORROW + timedelta(days=1))
    for path in sorted(first.parent.iterdir()):
        path.unlink()
    assert "begins at offset" not in run(system, "rebuild", folder=folder).stdout  # the log has all of it still
    trim(system, (system.topics.events, 0, end))
    done = run(system, "rebuild", folder=folder)
    assert f"[0]: the table begins at offset {end}; neither archive nor log holds what was before" in done.stdout


def test_a_log_that_ends_before_its_archive_is_refused(
    *, system: Any, connection: Any, stream: Any, folder: Path, wait_until: Any
) -> None:
    """The broker lost messages that were archived: their offsets will be given once more, to other messages."""
    path = manifest_of(folder)
    manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
    (part,) = manifest.parts
    claimed = msgspec.structs.replace(part, end=part.end + 5)
    path.write_bytes(msgspec.json.encode(sealed(msgspec.structs.replace(manifest, parts=[claimed]))))
    said = f"[0]: the log ends at {part.end}, but"
    assert said in refused(system, folder, "rebuild", "--swap")
    with pytest.raises(NotArchived, match=f"{part.end}, but .* holds messages up to {part.end + 5}"):
        archive_days(system, folder, TOMORROW + timedelta(days=1))
    done = run(system, "rebuild", "--swap", "--accept-loss", "*", folder=folder)
    assert (done.returncode, f"{said} the archive holds messages up to" in done.stdout) == (0, True), done.stderr
    system.projector()
    system.send(stream.job(7))
    wait_until(lambda: system.count(connection, "event") == part.records + len(stream.job(7)), "it does not go on")


def test_no_day_of_another_topic_is_written(
    *, system: Any, wait_until: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_day = bootstrap_archive.write_day

    def recreated(*arguments: Any) -> Any:
        recreate(system, system.topics.events, wait_until)
        system.send_raw(b"[]", key=b"key", partition=0)
        system.flush()
        return write_day(*arguments)

    system.send_raw(b"{}", key=b"key", partition=0)
    system.flush()
    monkeypatch.setattr(bootstrap_archive, "write_day", recreated)
    with pytest.raises(NotArchived, match="was recreated while it was read"):
        archive_days(system, tmp_path)
    assert not list(tmp_path.rglob(MANIFEST))


def test_topics_that_do_not_exist_are_not_taken_for_empty_ones(*, system: Any, tmp_path: Path) -> None:
    system.environment["JOBTRAIL_TOPIC_PREFIX"] = "nosuch."
    assert "the broker has no topic nosuch.jobs.requests.puller" in refused(system, tmp_path, "archive")


def test_nothing_of_a_forged_file_reaches_the_items(
    *, system: Any, connection: Any, stream: Any, wait_until: Any, tmp_path: Path
) -> None:
    synced = read_sync_log(system, stream, connection, wait_until)
    folder = tmp_path / "archive"
    archive_days(system, folder)
    before = synced.rows()
    victim = next(path for path in sorted(folder.rglob("*.zst")) if "items" in str(path))
    lines = zstandard.ZstdDecompressor().decompressobj().decompress(victim.read_bytes())
    assert b'"action"' in lines
    victim.write_bytes(zstandard.ZstdCompressor().compress(lines.replace(b'"action":"', b'"action":"z')))
    system.environment["JOBTRAIL_BATCH_EVENTS"] = "1"
    assert f"{victim} is not the file of its manifest" in refused(system, folder, "rebuild", "--items")
    assert synced.rows() == before


def test_a_folder_whose_name_looks_like_markup_is_printed_as_it_is(*, system: Any, tmp_path: Path) -> None:
    folder = tmp_path / "a[/]b[bold]"
    assert str(folder) in archive_days(system, folder).replace("\n", "")
