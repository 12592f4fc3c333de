"""AWS KMS over its real protocol: what it wraps, for whom it opens, and what is said when not."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from finops_pipeline.errors import FinopsError
from finops_pipeline.registry import Registry, envelope, kms, open_registry
from finops_pipeline.registry.envelope import KeyContext, UndecryptableError
from finops_pipeline.settings import Settings
from tests.registry.kms import (
    WEB,
    Kms,
    ScriptedKms,
    moto_kms,
    opened_kms,
    scripted_kms,
    set_up_boto,
)
from tests.registry.postgresql import on_both

SQL = Callable[..., list[tuple[Any, ...]]]


@pytest.fixture(scope="module")
def server() -> Iterator[Kms]:
    with moto_kms() as server:
        yield server


@pytest.fixture
def aws(server: Kms, monkeypatch: pytest.MonkeyPatch) -> Kms:
    set_up_boto(monkeypatch, server.endpoint)
    return server


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedKms]:
    with scripted_kms() as scripted:
        set_up_boto(monkeypatch, scripted.endpoint)
        monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)
        yield scripted


@pytest.fixture
def kms_settings(aws: Kms, settings: Settings) -> Settings:
    return settings.model_copy(update={"kms_key_id": aws.new_key()})


@pytest.fixture
def in_kms(kms_settings: Settings) -> Iterator[Registry]:
    with open_registry(kms_settings) as registry:
        registry.add_team("web")
        registry.add_team("mobile")
        yield registry


def revealed(registry: Registry, team_id: str = "web") -> str:
    active = registry.active_admin_key(team_id)
    assert active is not None
    return active.reveal()


@on_both
def test_a_key_lives_its_whole_life_in_kms(
    in_kms: Registry, kms_settings: Settings, key: str, other_key: str
) -> None:
    stored = in_kms.register_key("web", key)
    assert stored.wrapped_by == f"kms:{kms_settings.kms_key_id}"
    assert revealed(in_kms) == key

    in_kms.rotate_key("web", other_key)
    assert revealed(in_kms) == other_key
    in_kms.deactivate_key("web")
    assert in_kms.active_admin_key("web") is None
    assert not kms_settings.key_file.exists()


@pytest.mark.parametrize("how", ["arn", "id", "alias"])
def test_the_stored_name_is_the_arn_however_the_key_was_named(aws: Kms, how: str) -> None:
    arn = aws.new_key()
    name = arn.rpartition("/")[2] if how == "id" else arn
    if how == "alias":
        name = f"alias/{arn.rpartition('/')[2]}"
        aws.client.create_alias(AliasName=name, TargetKeyId=arn)
    with opened_kms(name) as wrapper:
        made = wrapper.new_data_key(WEB)
        assert made.wrapped_by == f"kms:{arn}"
        assert len(made.plaintext) == 32
        assert wrapper.unwrap(made.wrapped, made.wrapped_by, WEB) == made.plaintext
    assert repr(made.plaintext) not in repr(made)


@pytest.mark.parametrize(
    "other",
    [
        replace(WEB, team_id="mobile"),
        replace(WEB, key_type="project", project_id="shop"),
        replace(WEB, api_host="127.0.0.1:8080"),
    ],
)
def test_another_encryption_context_is_refused(aws: Kms, other: KeyContext) -> None:
    with opened_kms(aws.new_key()) as wrapper:
        made = wrapper.new_data_key(WEB)
        with pytest.raises(UndecryptableError, match="does not decrypt"):
            wrapper.unwrap(made.wrapped, made.wrapped_by, other)


def test_the_context_tells_kms_the_team_the_type_and_the_host(script: ScriptedKms) -> None:
    script.refuse("NotFoundException", times=2)
    with opened_kms("some-key") as wrapper:
        for attempt in (
            lambda: wrapper.new_data_key(WEB),
            lambda: wrapper.unwrap(b"wrapped", "kms:some-key", WEB),
        ):
            with pytest.raises(FinopsError):
                attempt()
    context = {"team_id": "web", "key_type": "admin", "api_host": "api.openai.com"}
    assert [asked["EncryptionContext"] for asked in script.asked] == [context] * 2
    assert [asked["action"] for asked in script.asked] == ["GenerateDataKey", "Decrypt"]


def test_a_collection_asks_for_each_data_key_once(
    script: ScriptedKms, settings: Settings, key: str
) -> None:
    answer = {"Plaintext": "A" * 43 + "=", "CiphertextBlob": "d3JhcHBlZA==", "KeyId": "arn:k"}
    script.answers.extend([(200, answer)] * 3)
    in_kms = settings.model_copy(update={"kms_key_id": "arn:k"})
    with open_registry(in_kms) as registry:
        registry.add_team("web")
        registry.register_key("web", key)
    for _ in range(2):
        with open_registry(in_kms) as collection:
            assert [revealed(collection) for _ in range(3)] == [key] * 3
    assert [asked["action"] for asked in script.asked] == ["GenerateDataKey", "Decrypt", "Decrypt"]


def test_a_closed_wrapper_holds_no_data_key(aws: Kms) -> None:
    with opened_kms(aws.new_key()) as wrapper:
        made = wrapper.new_data_key(WEB)
        wrapper.unwrap(made.wrapped, made.wrapped_by, WEB)
        assert made.plaintext in vars(wrapper)["_unwrapped"].values()
    assert vars(wrapper)["_unwrapped"] == {}


@on_both
def test_keys_move_from_the_file_to_kms_and_on(
    settings: Settings, aws: Kms, key: str, other_key: str
) -> None:
    first, second = (settings.model_copy(update={"kms_key_id": aws.new_key()}) for _ in range(2))
    with open_registry(settings) as registry:
        for team_id, text in (("web", key), ("mobile", other_key)):
            registry.add_team(team_id)
            registry.register_key(team_id, text)
        registry.add_project("site", team_id="web", openai_project_id="proj_1")
        registry.register_key("web", "sk-proj-abcdef", project_id="site")
    for place in (first, second, settings):
        with open_registry(place) as registry:
            active = registry.active_keys()
            # Half of them at first: both kinds are open side by side.
            for status in active[:1]:
                assert registry.rewrap_key(status.key_id) is not None
            assert (revealed(registry), revealed(registry, "mobile")) == (key, other_key)
            changed = [registry.rewrap_key(status.key_id) for status in active]
            assert [bool(status) for status in changed] == [False, True, True]
            assert [registry.rewrap_key(status.key_id) for status in active] == [None] * 3
            assert (revealed(registry), revealed(registry, "mobile")) == (key, other_key)
            prefix = f"kms:{place.kms_key_id}" if place.kms_key_id else "local:"
            assert all(each.wrapped_by.startswith(prefix) for each in registry.active_keys())
            project_key = registry.active_project_key("site")
            assert project_key is not None
            assert project_key.reveal() == "sk-proj-abcdef"
    with open_registry(settings) as registry:
        actions = [entry.action for entry in registry.audit_entries() if entry.run_id is None]
        assert actions.count("key.rewrap") == 9
        assert registry.verify_audit().problems == ()


def test_a_key_is_not_given_up_for_one_that_does_not_open(
    settings: Settings, aws: Kms, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_registry(settings) as registry:
        registry.add_team("web")
        key_id = registry.register_key("web", key).key_id
    to_kms = settings.model_copy(update={"kms_key_id": aws.new_key()})
    with open_registry(to_kms) as registry:
        monkeypatch.setattr(kms.AwsKms, "unwrap", _denied)
        with pytest.raises(FinopsError, match="planted"):
            registry.rewrap_key(key_id)
    with open_registry(settings) as registry:
        assert revealed(registry) == key
        assert registry.audit_entries()[-2].outcome == "refused"


def _denied(*_: object) -> bytes:
    raise FinopsError("planted")


def test_a_key_rotated_during_a_rewrap_stays_the_new_one(
    settings: Settings, aws: Kms, key: str, other_key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_registry(settings) as registry:
        registry.add_team("web")
        key_id = registry.register_key("web", key).key_id
    to_kms = settings.model_copy(update={"kms_key_id": aws.new_key()})
    seal = envelope.seal

    def overtaken(*arguments: Any) -> envelope.SealedKey:
        monkeypatch.setattr(envelope, "seal", seal)
        with open_registry(settings) as other:
            other.rotate_key("web", other_key)
        return seal(*arguments)

    with open_registry(to_kms) as registry:
        monkeypatch.setattr(envelope, "seal", overtaken)
        assert registry.rewrap_key(key_id) is None
        assert revealed(registry) == other_key


def test_a_lost_key_file_stops_no_new_key_in_kms(
    settings: Settings, aws: Kms, key: str, other_key: str
) -> None:
    with open_registry(settings) as registry:
        registry.add_team("web")
        key_id = registry.register_key("web", key).key_id
    settings.key_file.unlink()
    to_kms = settings.model_copy(update={"kms_key_id": aws.new_key()})
    with open_registry(to_kms) as registry:
        with pytest.raises(FinopsError, match="is missing"):
            registry.rewrap_key(key_id)
        registry.rotate_key("web", other_key)
        assert revealed(registry) == other_key


@pytest.mark.parametrize(
    "field", ["encrypted_key", "encrypted_data_key", "iv", "wrapped_by", "api_host", "team_id"]
)
def test_a_stored_field_with_any_byte_changed_opens_nothing_wrong(
    in_kms: Registry, sql: SQL, key: str, other_key: str, field: str
) -> None:
    in_kms.register_key("web", key)
    in_kms.register_key("mobile", other_key)
    [(stored,)] = sql(f"SELECT {field} FROM api_keys WHERE team_id = 'web'")
    text = isinstance(stored, str)
    raw = stored.encode() if text else stored
    changed = [
        raw[:place] + bytes([raw[place] ^ 0x01]) + raw[place + 1 :] for place in range(len(raw))
    ]
    cut = [raw[:length] for length in (0, 1, len(raw) // 2, len(raw) - 1)]
    if field == "team_id":
        changed, cut = [b"mobile"], []
        sql("DELETE FROM api_keys WHERE team_id = 'mobile'")
    for value in [*changed, *cut]:
        sql(
            f"UPDATE api_keys SET {field} = ? WHERE last4 = ?",
            value.decode("latin-1") if text else value,
            key[-4:],
        )
        active = in_kms.active_admin_key("mobile" if field == "team_id" else "web")
        assert active is not None
        with pytest.raises(FinopsError):
            active.reveal()


def test_a_ciphertext_copied_to_another_team_does_not_open(
    in_kms: Registry, sql: SQL, key: str, other_key: str
) -> None:
    in_kms.register_key("web", key)
    in_kms.register_key("mobile", other_key)
    for field in ("encrypted_key", "encrypted_data_key", "iv"):
        sql(
            f"UPDATE api_keys SET {field} = (SELECT {field} FROM api_keys WHERE team_id = 'web') "
            "WHERE team_id = 'mobile'"
        )
    with pytest.raises(UndecryptableError, match="key of team mobile does not decrypt"):
        revealed(in_kms, "mobile")


def test_a_key_opens_for_its_own_host_alone(
    in_kms: Registry, kms_settings: Settings, sql: SQL, key: str
) -> None:
    in_kms.register_key("web", key)
    elsewhere = kms_settings.model_copy(update={"openai_base_url": "https://evil.example/v1"})
    with open_registry(elsewhere) as registry:
        with pytest.raises(UndecryptableError, match=r"registered for the API host api\.openai"):
            revealed(registry)
        sql("UPDATE api_keys SET api_host = 'evil.example'")
        with pytest.raises(UndecryptableError, match="does not decrypt"):
            revealed(registry)


TROUBLES = [
    ("AccessDeniedException", "denies kms:{action} with the key k: permissions or key policy"),
    ("NotFoundException", "has no key k in this account and region"),
    ("DisabledException", "has disabled the key k"),
    ("KMSInvalidStateException", "waiting to be deleted, or not ready"),
    ("InvalidKeyUsageException", r"cannot use the key k for this \(InvalidKeyUsage"),
    ("UnrecognizedClientException", "does not accept the AWS credentials"),
    ("SomethingNewException", r"answered kms:{action} with an error \(SomethingNew"),
]


@pytest.mark.parametrize(("code", "words"), TROUBLES)
def test_every_refusal_has_its_sentence(script: ScriptedKms, code: str, words: str) -> None:
    script.refuse(code, times=2)
    with opened_kms("k") as wrapper:
        attempts: dict[str, Callable[[], object]] = {
            "GenerateDataKey": lambda: wrapper.new_data_key(WEB),
            "Decrypt": lambda: wrapper.unwrap(b"wrapped", "kms:k", WEB),
        }
        for action, attempt in attempts.items():
            with pytest.raises(FinopsError) as caught:
                attempt()
            assert_sentence(caught, words.replace("{action}", action))
    assert len(script.asked) == 2


@pytest.mark.parametrize(
    ("code", "status", "words"),
    [
        ("ThrottlingException", 400, r"takes no more requests for now \(ThrottlingException\)"),
        ("KMSInternalException", 500, "answered kms:GenerateDataKey with an error"),
    ],
)
def test_what_may_pass_is_tried_three_times_more(
    script: ScriptedKms, code: str, status: int, words: str
) -> None:
    script.refuse(code, status, times=4)
    with opened_kms("k") as wrapper, pytest.raises(FinopsError) as caught:
        wrapper.new_data_key(WEB)
    assert_sentence(caught, words)
    assert len(script.asked) == 4


def test_a_refusal_that_passes_is_not_noticed(script: ScriptedKms) -> None:
    script.refuse("ThrottlingException", times=3)
    script.answers.append(
        (200, {"Plaintext": "cGxhaW4=", "CiphertextBlob": "d3JhcA==", "KeyId": "arn:k"})
    )
    with opened_kms("k") as wrapper:
        assert wrapper.new_data_key(WEB).wrapped_by == "kms:arn:k"


def assert_sentence(caught: pytest.ExceptionInfo[FinopsError], words: str) -> None:
    error = caught.value
    assert error.fix
    assert "\n" not in str(error)
    assert "the admin key of team web" in error.message
    caught.match(words)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"AWS_ENDPOINT_URL_KMS": "http://127.0.0.1:9"}, r"cannot be reached \(Endpoint"),
        ({"AWS_DEFAULT_REGION": None, "AWS_ENDPOINT_URL_KMS": None}, "no region is set"),
        ({"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}, "there are no AWS credential"),
        ({"AWS_SECRET_ACCESS_KEY": None}, r"credentials are no use \(PartialCredentials"),
        ({"AWS_PROFILE": "nosuch"}, r"credentials are no use \(ProfileNotFound"),
        ({"AWS_ENDPOINT_URL_KMS": "not an address"}, "kms:GenerateDataKey failed"),
    ],
)
def test_what_keeps_kms_from_being_asked_is_told(
    script: ScriptedKms,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, str | None],
    words: str,
) -> None:
    for name, value in changes.items():
        if value is None:
            monkeypatch.delenv(name)
        else:
            monkeypatch.setenv(name, value)
    with opened_kms("k") as wrapper, pytest.raises(FinopsError) as caught:
        wrapper.new_data_key(WEB)
    assert_sentence(caught, words)
    assert script.asked == []


def test_a_key_that_is_not_there_is_told(aws: Kms) -> None:
    missing = aws.new_key()[:-4] + "0000"
    with opened_kms(missing) as wrapper, pytest.raises(FinopsError, match=f"has no key {missing}"):
        wrapper.new_data_key(WEB)


def test_a_refused_registration_leaves_nothing_but_its_entry(
    script: ScriptedKms, settings: Settings, key: str
) -> None:
    script.refuse("AccessDeniedException")
    with open_registry(settings.model_copy(update={"kms_key_id": "k"})) as registry:
        registry.add_team("web")
        with pytest.raises(FinopsError, match="denies kms:GenerateDataKey"):
            registry.register_key("web", key)
        assert registry.key_status("web") == []
        entry = registry.audit_entries()[-1]
    assert (entry.action, entry.outcome) == ("key.register", "refused")


def test_no_log_and_no_error_holds_a_data_key_or_credentials(
    in_kms: Registry,
    kms_settings: Settings,
    key: str,
    aws: Kms,
    caplog: pytest.LogCaptureFixture,
    script_of_garbage: ScriptedKms,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level(logging.DEBUG)
    made: list[bytes] = []
    new_data_key = kms.AwsKms.new_data_key

    def watched(self: kms.AwsKms, context: KeyContext) -> envelope.DataKey:
        data_key = new_data_key(self, context)
        made.append(data_key.plaintext)
        return data_key

    monkeypatch.setattr(kms.AwsKms, "new_data_key", watched)
    in_kms.register_key("web", key)
    with open_registry(kms_settings) as registry:
        assert revealed(registry) == key
    monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", script_of_garbage.endpoint)
    with opened_kms("k") as wrapper, pytest.raises(FinopsError) as caught:
        wrapper.new_data_key(WEB)

    said = caplog.text + "".join(traceback.format_exception(caught.value))
    assert caught.value.__context__ is None
    assert "Plaintext" not in said
    assert "c2VjcmV0IGRhdGEga2V5" not in said
    for name in ("botocore", "boto3", "made-up-secret"):
        assert not any(record.name.startswith(name) for record in caplog.records)
        assert f"{name}:" not in caplog.text
    assert len(made) == 1


@pytest.fixture
def script_of_garbage() -> Iterator[ScriptedKms]:
    with scripted_kms() as scripted:
        scripted.answers.extend([(200, b'{"Plaintext": "c2VjcmV0IGRhdGEga2V5", "Cipher')] * 4)
        yield scripted
