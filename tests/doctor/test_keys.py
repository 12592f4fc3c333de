"""The wrapping key: a local file or AWS KMS, and what is wrong with it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from pydantic import SecretStr

from finops_pipeline.doctor import Status
from tests.doctor.conftest import Change, Installation
from tests.registry.kms import moto_kms, set_up_boto


@pytest.fixture
def kms(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A key in a key management service, which boto3 finds by the environment."""
    with moto_kms() as running:
        set_up_boto(monkeypatch, running.endpoint)
        yield running.new_key()


def test_a_lost_key_file_is_told(installation: Installation) -> None:
    installation.settings.key_file.unlink()
    checks = installation.checks()
    assert checks["wrapping_key", None].status is Status.FAIL
    assert "is missing" in checks["wrapping_key", None].detail
    assert checks["key_decrypts", "search"].status is Status.FAIL
    assert not installation.settings.key_file.exists()


def test_a_key_file_that_others_can_read_is_told(installation: Installation) -> None:
    installation.settings.key_file.chmod(0o640)
    found = installation.checks()["wrapping_key", None]
    assert found.status is Status.FAIL
    assert "chmod 600" in found.fix


@pytest.mark.parametrize("through_a_link", [False, True])
def test_a_key_file_beside_the_data_is_told(
    installation: Installation, change: Change, through_a_link: bool
) -> None:
    inside = installation.settings.data_dir / "secret" / "key"
    inside.parent.mkdir()
    shutil.move(installation.settings.key_file, inside)
    if through_a_link:
        installation.settings.key_file.symlink_to(inside)
    else:
        change(key_file=inside)
    assert installation.failed() == {("key_file_place", None)}


def test_a_key_file_beside_a_registry_elsewhere_is_told(
    installation: Installation, change: Change
) -> None:
    folder = installation.settings.key_file.parent
    shutil.copy(installation.settings.registry_path, folder / "teams.db")
    change(registry_url=SecretStr(f"sqlite:///{folder}/teams.db"))
    assert installation.failed() == {("key_file_place", None)}


def test_kms_is_asked(installation: Installation, change: Change, kms: str) -> None:
    change(kms_key_id=kms)
    installation.replace_key("search", installation.key_of("search"))
    checks = installation.checks()
    assert checks["wrapping_key", None].status is Status.OK
    assert kms in checks["wrapping_key", None].detail
    assert checks["key_decrypts", "search"].status is Status.OK


def test_where_stored_keys_open_an_unusable_kms_is_worth_a_look(
    installation: Installation, change: Change, kms: str
) -> None:
    change(kms_key_id="alias/nobody-made-this")
    checks = installation.checks()
    assert checks["wrapping_key", None].status is Status.WARN
    assert checks["wrapping_key", None].detail.startswith("Stored keys open, but:")
    assert "alias/nobody-made-this" in checks["wrapping_key", None].detail
    assert installation.failed() == set()


def test_with_kms_alone_there_is_no_key_file_to_look_for(blank: Installation, kms: str) -> None:
    blank.settings = blank.settings.model_copy(update={"kms_key_id": kms})
    blank.register()
    checks = blank.checks()
    assert ("key_file_place", None) not in checks
    assert checks["wrapping_key", None].status is Status.OK
