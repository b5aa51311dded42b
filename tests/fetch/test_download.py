"""Single files over HTTP, from a stand-in for the hub."""

import hashlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semrsm_cli.errors import SemrsmError
from semrsm_cli.fetch import Download, digest_file
from semrsm_cli.fetch.download import require_room
from tests.fetch.stand_in import COMMIT, Hub, stand_in

CONTENT = bytes(range(256)) * 4096  # more than a block


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with stand_in(Hub({"a/b": {"file.bin": CONTENT}}), monkeypatch) as served:
        yield served


def download(hub: Hub, folder: Path, *, size: int | None = len(CONTENT), checksum: str = "") -> Download:
    checksum = checksum or f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
    return Download(f"{hub.url}/a/b/resolve/{COMMIT}/file.bin", folder / "file.bin", checksum, size)


@pytest.mark.parametrize("size", [None, len(CONTENT)])
def test_a_file_comes_whole_and_tells_how_much_has_come(hub: Hub, tmp_path: Path, size: int | None) -> None:
    file, blocks = download(hub, tmp_path / "new", size=size), []
    file.run(advance=blocks.append)
    assert file.path.read_bytes() == CONTENT
    assert sum(blocks) == len(CONTENT)
    assert file.is_complete()
    assert [path.name for path in file.path.parent.iterdir()] == ["file.bin"]


@pytest.mark.parametrize("size", [None, len(CONTENT)])
@pytest.mark.parametrize("there", [1, 300_000, len(CONTENT)])
def test_what_is_there_is_not_fetched_again(hub: Hub, tmp_path: Path, size: int | None, there: int) -> None:
    file, blocks = download(hub, tmp_path, size=size), []
    file.part.write_bytes(CONTENT[:there])
    file.run(advance=blocks.append)
    assert file.path.read_bytes() == CONTENT
    assert sum(blocks) == len(CONTENT) - there
    assert set(hub.fetched("file.bin")) <= {f"bytes={there}-"}


def test_a_connection_that_breaks_is_taken_up_again(hub: Hub, tmp_path: Path) -> None:
    hub.breaks_after = 300_000
    download(hub, tmp_path).run()
    assert (tmp_path / "file.bin").read_bytes() == CONTENT
    assert hub.fetched("file.bin") == ["", "bytes=300000-"]


def test_one_that_brings_nothing_is_given_up_and_what_came_is_kept(hub: Hub, tmp_path: Path) -> None:
    file = download(hub, tmp_path)
    file.part.write_bytes(CONTENT[:7])
    hub.breaks_after = 0
    with pytest.raises(SemrsmError, match=r"cannot be reached \(it closed the connection\); what has come is kept"):
        file.run()
    assert file.part.read_bytes() == CONTENT[:7]
    assert not file.path.exists()


def test_a_server_without_ranges_begins_anew(hub: Hub, tmp_path: Path) -> None:
    hub.ranges = False
    file, blocks = download(hub, tmp_path), []
    file.part.write_bytes(CONTENT[:1000])
    file.run(advance=blocks.append)
    assert file.path.read_bytes() == CONTENT
    assert sum(blocks) == len(CONTENT) - 1000, "what was counted before is taken back"


def test_a_wrong_file_gets_no_name_and_does_not_stay(hub: Hub, tmp_path: Path) -> None:
    for checksum in ("sha256:" + "0" * 64, "git:" + "0" * 40, "sha256:" + "0" * 8):
        file = download(hub, tmp_path, checksum=checksum)
        with pytest.raises(
            SemrsmError, match=r"is not what was published: its .* checksum is [0-9a-f]+, not 0+; it was"
        ):
            file.run()
        assert not list(tmp_path.iterdir())


def test_a_disk_that_is_full_is_said_and_what_came_is_kept(hub: Hub, tmp_path: Path) -> None:
    file = download(hub, tmp_path)
    file.part.symlink_to("/dev/full")  # which takes no byte, as the system says of a full disk
    with pytest.raises(SemrsmError, match=r"cannot write .*file\.bin, which takes 1\.0 MB: No space left on device"):
        file.run()
    with pytest.raises(SemrsmError, match=r"has room for .*, and 1\.0 ZB are to come; set HF_HOME to a disk with more"):
        require_room(tmp_path / "new" / "folder", 10**21, "HF_HOME")


def test_no_network_is_one_line(tmp_path: Path) -> None:
    file = Download("http://127.0.0.1:9/x/file", tmp_path / "new" / "file", "sha256:00", 3)
    with pytest.raises(SemrsmError, match=r"^http://127\.0\.0\.1:9 cannot be reached \(Connection refused\); [^\n]*$"):
        file.run()
    assert not list((tmp_path / "new").iterdir())


def test_who_one_is_is_not_told_to_another_host(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = Hub({"a/b": {"file.bin": CONTENT}})
    with stand_in(elsewhere, monkeypatch):
        place = elsewhere.url.replace("127.0.0.1", "localhost")
        monkeypatch.setenv("no_proxy", "127.0.0.1,localhost")
        hub.moved_to = place
        download(hub, tmp_path).run(headers={"Authorization": "Bearer secret"})
    assert {token for _, _, token in hub.asked} == {"Bearer secret"}
    assert {token for _, _, token in elsewhere.asked} == {""}


@given(st.binary(max_size=2000))
def test_git_names_a_file_so(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "file")
        file.write_bytes(content)
        assert digest_file(file, "git") == hashlib.sha1(b"blob %d\0%b" % (len(content), content)).hexdigest()
        assert digest_file(file, "sha256") == hashlib.sha256(content).hexdigest()
