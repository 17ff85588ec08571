"""Salesforce's ways to a token: rotation that survives a kill, one refresh for many, signed assertions."""

import stat
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from connectors.http import VendorHttp, Wire
from connectors.kept_token import KeptToken
from connectors.salesforce.credentials import credentials_of
from connectors.salesforce.oauth import JwtBearer, RefreshToken, SalesforceToken
from connectors.simulation.faults import Fault
from connectors.simulation.world import World
from tests.connectors.conftest import Stage
from tests.connectors.simulated import Followed, by_id
from vitals.clock import Clock
from vitals.errors import FatalError, RetriableError, UserError

StageOf = Callable[..., Stage]
ACCOUNTS = "salesforce.accounts"
FIRST = "sf-refresh-demo"


def refreshes(stage: Stage) -> int:
    return sum(request.url.path.endswith("/oauth2/token") for request in stage.transport.requests)


@pytest.fixture
def rotating(world: World, stage_of: StageOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Stage]:
    """A stage whose Salesforce rotates refresh tokens, with a connector that was given one."""
    monkeypatch.setenv("VITALS_SALESFORCE_REFRESH_TOKEN", FIRST)
    monkeypatch.setattr("connectors.salesforce.stream.PAGE_OBJECTS", 7)

    def make() -> Stage:
        stage = stage_of(world)
        stage.settings = stage.settings.model_copy(update={"state_dir": tmp_path})
        credentials_of(stage.simulation).rotates_refresh_tokens = True
        return stage

    return make


def test_a_session_that_expires_while_paging_is_refreshed_once(
    rotating: Callable[[], Stage], world: World, stage_of: StageOf
) -> None:
    clean = Followed(stage_of(world).streams("salesforce")[ACCOUNTS]).catch_up()
    stage = rotating()
    stage.simulation.faults.order(
        Fault(vendor="salesforce", kind="expire_token", path="/services/data/v67.0/queryAll", after=2)
    )
    followed = Followed(stage.streams("salesforce")[ACCOUNTS]).catch_up()
    assert refreshes(stage) == 2
    assert by_id(followed.events) == by_id(clean.events)
    assert len(followed.events) == len(clean.events)


def test_a_rotated_token_survives_a_restart_of_the_connector(rotating: Callable[[], Stage], tmp_path: Path) -> None:
    stage = rotating()
    for _ in range(3):
        Followed(stage.streams("salesforce")[ACCOUNTS]).page()
    assert refreshes(stage) == 3
    kept = tmp_path / "tokens" / "salesforce.json"
    assert FIRST not in kept.read_text()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


def test_killed_between_the_answer_and_the_file_it_asks_for_authorization_once(
    rotating: Callable[[], Stage], monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = rotating()
    with monkeypatch.context() as patch:
        patch.setattr(KeptToken, "replace", lambda _self, _token: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            Followed(stage.streams("salesforce")[ACCOUNTS]).page()
    streams = stage.streams("salesforce")
    for _ in range(3):
        for stream in streams.values():
            with pytest.raises(FatalError, match=r"authorize the application again.*VITALS_SALESFORCE_REFRESH_TOKEN"):
                stream.fetch({})
    assert refreshes(stage) == 2, "the token that was lost, and one refusal: no storm"


def test_a_newly_configured_token_takes_the_place_of_a_lost_one(
    rotating: Callable[[], Stage], monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = rotating()
    Followed(stage.streams("salesforce")[ACCOUNTS]).page()
    stage.simulation.tokens._refresh["salesforce"] = "given-anew"
    monkeypatch.setenv("VITALS_SALESFORCE_REFRESH_TOKEN", "given-anew")
    assert Followed(stage.streams("salesforce")[ACCOUNTS]).page()


def test_an_answer_without_a_token_of_its_own_keeps_the_old_one(rotating: Callable[[], Stage], tmp_path: Path) -> None:
    stage = rotating()
    credentials_of(stage.simulation).rotates_refresh_tokens = False
    Followed(stage.streams("salesforce")[ACCOUNTS]).page()
    assert not (tmp_path / "tokens" / "salesforce.json").exists()


def test_nothing_is_asked_where_a_new_token_could_not_be_kept(rotating: Callable[[], Stage], tmp_path: Path) -> None:
    stage = rotating()
    (tmp_path / "tokens").write_text("a file, not a folder")
    with pytest.raises(FatalError, match="VITALS_STATE_DIR"):
        stage.streams("salesforce")[ACCOUNTS].fetch({})
    assert refreshes(stage) == 0


def test_many_threads_refresh_once(rotating: Callable[[], Stage]) -> None:
    """Their sessions all end at the same moment; each finds out for itself."""
    stage = rotating()
    streams = list(stage.streams("salesforce").values())
    assert all(stream.fetch({}).objects for stream in streams)
    stage.simulation.tokens.expire("salesforce")
    with ThreadPoolExecutor(len(streams)) as pool:
        pages = list(pool.map(lambda stream: stream.fetch({}), streams))
    assert all(page.objects for page in pages)
    assert refreshes(stage) == 2


def test_two_processes_take_turns_and_the_second_uses_what_the_first_was_given(tmp_path: Path) -> None:
    path, inside, order = tmp_path / "t.json", threading.Event(), []
    one, other = KeptToken(path, "first"), KeptToken(path, "first")

    def second() -> None:
        inside.wait(5)
        with other.exclusive():
            order.append(other.current())

    thread = threading.Thread(target=second)
    thread.start()
    with one.exclusive():
        inside.set()
        thread.join(0.2)
        assert order == [], "it waits"
        one.replace("second")
    thread.join(5)
    assert order == ["second"]


def test_a_half_written_file_is_no_token(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    kept = KeptToken(path, "first")
    for content in ('{"first": "', "[]", '{"token": "x"}', '{"first": "of another", "token": "x"}'):
        path.write_text(content)
        assert kept.current() == "first"


def test_a_passing_fault_of_the_token_endpoint_is_no_refusal(rotating: Callable[[], Stage]) -> None:
    stage = rotating()
    stage.simulation.faults.order(
        Fault(vendor="salesforce", kind="server_error", path="/services/oauth2/token", count=20)
    )
    stream = stage.streams("salesforce")[ACCOUNTS]
    with pytest.raises(RetriableError):
        stream.fetch({})
    stage.simulation.faults.clear()
    assert stream.fetch({}).objects


@pytest.fixture(scope="module")
def key() -> tuple[str, str]:
    """A private and a public key, in PEM form."""
    private = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    return (
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode(),
        private.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode(),
    )


def asserting(world: World, stage_of: StageOf, public: str, patch: pytest.MonkeyPatch, private: str) -> Stage:
    patch.setenv("VITALS_SALESFORCE_PRIVATE_KEY", private)
    patch.setenv("VITALS_SALESFORCE_USERNAME", "integration@vendor.example")
    stage = stage_of(world)
    credentials_of(stage.simulation).public_key = public
    return stage


def test_a_signed_assertion_gives_a_token(
    key: tuple[str, str], world: World, stage_of: StageOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = asserting(world, stage_of, key[1], monkeypatch, key[0])
    assert Followed(stage.streams("salesforce")[ACCOUNTS]).catch_up().profiles
    form = next(one for one in stage.transport.requests if one.url.path.endswith("/token")).content.decode()
    assert "client_secret" not in form


@pytest.mark.parametrize(("change", "reason"), [
    ({"VITALS_SALESFORCE_USERNAME": "nobody@vendor.example"}, "hasn't approved"),
    ({"VITALS_SALESFORCE_LOGIN_URL": "https://elsewhere.test"}, "invalid assertion"),
])  # fmt: skip
def test_a_refused_assertion_says_what_to_check(
    change: dict[str, str], reason: str, key: tuple[str, str], world: World, stage_of: StageOf,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    stage = asserting(world, stage_of, key[1], monkeypatch, key[0])
    for name, value in change.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(FatalError, match=f"{reason}.*VITALS_SALESFORCE_CLIENT_ID"):
        stage.streams("salesforce")[ACCOUNTS].fetch({})


def test_an_assertion_signed_with_another_key_is_refused(
    key: tuple[str, str], world: World, stage_of: StageOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = rsa.generate_private_key(public_exponent=65_537, key_size=2_048).public_key()
    public = other.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
    with pytest.raises(FatalError, match="invalid assertion"):
        asserting(world, stage_of, public, monkeypatch, key[0]).streams("salesforce")[ACCOUNTS].fetch({})


def test_assertions_live_for_three_minutes(key: tuple[str, str]) -> None:
    class Still(Clock):
        def now(self) -> datetime:
            return datetime(2026, 11, 20, 10, tzinfo=UTC)

    form = JwtBearer("id", "user", key[0], "https://login.salesforce.com", Still()).form()
    claims = jwt.decode(form["assertion"], options={"verify_signature": False})
    assert claims == {"iss": "id", "sub": "user", "aud": "https://login.salesforce.com", "exp": 1_795_168_980}


def test_a_key_that_is_none_is_a_mistake_of_the_settings(
    world: World, stage_of: StageOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match="VITALS_SALESFORCE_PRIVATE_KEY"):
        asserting(world, stage_of, "", monkeypatch, "not a key").streams("salesforce")


def test_other_refusals_do_not_condemn_the_token(tmp_path: Path) -> None:
    grant = RefreshToken("id", "secret", KeptToken(tmp_path / "t.json", FIRST))
    assert grant.form()["refresh_token"] == FIRST
    assert "CLIENT_SECRET" in grant.refused('{"error":"invalid_client"}')
    assert grant.form()["refresh_token"] == FIRST
    grant.refused('{"error":"invalid_grant"}')
    with pytest.raises(FatalError):
        grant.form()
    SalesforceToken(VendorHttp("salesforce", wire=Wire()), "http://login.test", grant)
