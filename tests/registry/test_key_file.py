"""The wrapping key's file: private, never replaced behind anybody's back."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from finops_pipeline.errors import FinopsError
from finops_pipeline.registry import Registry
from finops_pipeline.registry.envelope import KeyContext
from finops_pipeline.registry.key_file import LocalKeyFile
from finops_pipeline.settings import Settings

WEB = KeyContext("web", "admin", "api.openai.com")


@pytest.fixture
def open_umask() -> Iterator[None]:
    """A process that would let everybody in, were the modes left to it."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.fixture
def with_key(registry: Registry, key: str) -> Registry:
    registry.add_team("web")
    registry.add_team("mobile")
    registry.register_key("web", key)
    return registry


def name(path: Path) -> str:
    """How the stored keys call the wrapping key in a file."""
    return LocalKeyFile(path).new_data_key(WEB).wrapped_by


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.usefixtures("open_umask")
def test_the_first_key_makes_a_private_file(settings: Settings, with_key: Registry) -> None:
    assert mode(settings.key_file) == 0o600
    assert mode(settings.key_file.parent) == 0o700
    assert settings.key_file.stat().st_size == 32
    assert list(settings.key_file.parent.iterdir()) == [settings.key_file]


def test_reading_alone_makes_no_file(settings: Settings, registry: Registry) -> None:
    registry.add_team("web")
    registry.collectable_teams(None)
    registry.snapshot()

    assert not settings.key_file.parent.exists()


@pytest.mark.parametrize("bits", [0o640, 0o620, 0o610, 0o604, 0o602, 0o601, 0o644, 0o777])
def test_a_file_that_others_can_open_is_refused(
    settings: Settings, with_key: Registry, other_key: str, bits: int
) -> None:
    settings.key_file.chmod(bits)
    active = with_key.active_admin_key("web")
    assert active is not None

    for attempt in (active.reveal, lambda: with_key.register_key("mobile", other_key)):
        with pytest.raises(FinopsError, match=f"is open to other users \\(mode {bits:04o}\\)") as e:
            attempt()
        assert e.value.fix == f"Run `chmod 600 {settings.key_file}`."
    assert with_key.key_status("mobile") == []


@pytest.mark.parametrize("content", [b"", b"k" * 31, b"k" * 33])
def test_a_file_of_the_wrong_size_is_refused(
    settings: Settings, with_key: Registry, content: bytes
) -> None:
    settings.key_file.write_bytes(content)
    active = with_key.active_admin_key("web")
    assert active is not None

    with pytest.raises(FinopsError, match="does not hold the 32 bytes of a key"):
        active.reveal()


def test_a_lost_file_is_reported_and_never_replaced(
    settings: Settings, with_key: Registry, other_key: str
) -> None:
    active = with_key.active_admin_key("web")
    assert active is not None
    settings.key_file.unlink()

    attempts = (
        active.reveal,
        lambda: with_key.register_key("mobile", other_key),
        lambda: with_key.rotate_key("web", other_key),
    )
    for attempt in attempts:
        with pytest.raises(FinopsError, match="is missing") as error:
            attempt()
        assert str(settings.key_file) in error.value.message
        assert "Restore it" in error.value.fix
        assert "register the keys again" in error.value.fix
        assert not settings.key_file.exists()
    assert [status.is_active for status in with_key.key_status("web")] == [True]


def test_a_file_lost_for_good_can_be_left_behind(
    settings: Settings, with_key: Registry, other_key: str
) -> None:
    settings.key_file.unlink()
    with_key.deactivate_key("web")
    with_key.register_key("web", other_key)

    active = with_key.active_admin_key("web")
    assert active is not None
    assert active.reveal() == other_key


def test_another_file_in_its_place_is_noticed_and_rotation_mends_it(
    settings: Settings, with_key: Registry, key: str
) -> None:
    before = name(settings.key_file)
    settings.key_file.write_bytes(b"another key, but as long as one!")
    after = name(settings.key_file)
    active = with_key.active_admin_key("web")
    assert active is not None

    with pytest.raises(FinopsError, match="was encrypted with the wrapping key") as error:
        active.reveal()
    assert before in error.value.message
    assert after in error.value.message
    assert "finops key rotate web" in error.value.fix

    with_key.rotate_key("web", key)
    active = with_key.active_admin_key("web")
    assert active is not None
    assert active.reveal() == key


def test_a_file_that_no_key_depends_on_is_made_anew(tmp_path: Path) -> None:
    file = LocalKeyFile(tmp_path / "new" / "key")
    file.prepare(["kms:arn:aws:kms:eu-west-1:111122223333:key/1"])

    assert file.path.exists()
    file.path.unlink()
    with pytest.raises(FinopsError, match="is missing"):
        file.prepare(["kms:arn:aws:kms:eu-west-1:111122223333:key/1", "local:01234567"])


def test_many_at_once_end_with_one_key(tmp_path: Path) -> None:
    def make(_: int) -> str:
        file = LocalKeyFile(tmp_path / "new" / "key")
        file.prepare([])
        return name(file.path)

    with ThreadPoolExecutor(8) as pool:
        names = set(pool.map(make, range(16)))
    assert len(names) == 1
    assert len(list((tmp_path / "new").iterdir())) == 1


def test_a_file_that_another_process_made_meanwhile_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = LocalKeyFile(tmp_path / "new" / "key")
    file.prepare([])
    before = name(file.path)
    monkeypatch.setattr(Path, "exists", lambda _: False)
    file.prepare([])

    assert name(file.path) == before
    assert list((tmp_path / "new").iterdir()) == [file.path]


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    file = LocalKeyFile(tmp_path / "file" / "key")

    with pytest.raises(FinopsError, match="file/key cannot be created"):
        file.prepare([])
    with pytest.raises(FinopsError, match="file/key cannot be read: Not a directory"):
        file.new_data_key(WEB)
