"""Each client is shown the certificate of the namespace that it names, as it is at that time."""

from __future__ import annotations

import contextlib
import gc
import ssl
import weakref
from pathlib import Path

import pytest

from support.certificates import Authority
from support.tls_clients import Met, meeting, met, trusting_anybody
from torpor_proxy.adapters import namespace_certificates
from torpor_proxy.adapters.certificate import Certificate
from torpor_proxy.adapters.namespace_certificates import NamespaceCertificates
from torpor_proxy.adapters.shown import Shown, load
from torpor_proxy.core.routing import namespace_named
from torpor_proxy.core.startup import ALPN

DOMAINS = ("db.example", "svc", "svc.cluster.local")


class Door:
    """A proxy's certificates, and clients that verify what they are shown."""

    def __init__(self, folder: Path) -> None:
        self.authority = Authority()
        self.namespaces = folder / "namespaces"
        self.namespaces.mkdir()
        own = self.authority.folder(folder / "own", "*.db.example")
        certificates = NamespaceCertificates(self.namespaces, DOMAINS)
        self.certificate = Certificate(own / "tls.crt", own / "tls.key", certificates)
        self.client = self.trusting(self.authority)

    @staticmethod
    def trusting(authority: Authority) -> ssl.SSLContext:
        context = ssl.create_default_context(cadata=authority.certificate)
        context.set_alpn_protocols([ALPN])
        return context

    def issue(self, namespace: str, authority: Authority | None = None) -> None:
        names = [f"*.{namespace}.{domain}" for domain in DOMAINS]
        path = self.namespaces / f"{namespace}.pem"
        (authority or self.authority).one_file(path, *names)

    async def met(self, host: str) -> Met:
        """Raises SSLCertVerificationError where the name is not in what is shown."""
        found = await met(self.certificate, self.client, host)
        assert found.end_point == found.sha256, "a login is bound to what the client has seen"
        assert found.application_protocol == ALPN
        assert found.server_name == host
        return found


@pytest.fixture
def door(tmp_path: Path) -> Door:
    return Door(tmp_path)


async def test_the_namespace_that_the_client_names_decides(door: Door) -> None:
    for namespace in ("team-a", "team-b"):
        door.issue(namespace)
    shown = {
        host: (await door.met(host)).sha256
        for namespace in ("team-a", "team-b")
        for domain in DOMAINS
        for host in (f"shop.{namespace}.{domain}",)
    }
    assert len(set(shown.values())) == 2
    assert shown["shop.team-a.svc"] == (await door.met("blog.team-a.db.example")).sha256
    assert shown["shop.team-a.svc"] != shown["shop.team-b.svc"]


async def test_whoever_names_none_is_shown_the_proxys_own(door: Door) -> None:
    door.issue("team-a")
    own = (await door.met("shop.db.example")).sha256
    assert (await met(door.certificate, trusting_anybody())).sha256 == own, "no name at all"
    for stranger in ("shop.team-b.svc", "elsewhere.org", "a.b.team-a.svc", "team-a.svc.x"):
        found = await met(door.certificate, trusting_anybody(), stranger)
        assert found.sha256 == own and found.end_point == own, stranger
        with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
            await door.met(stranger)


async def test_what_comes_is_renewed_and_goes_is_seen_by_the_next_client(door: Door) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        await door.met("shop.team-a.svc")
    door.issue("team-a")
    first = await door.met("shop.team-a.svc")
    assert await door.met("shop.team-a.svc") == first
    door.issue("team-a")
    second = await door.met("shop.team-a.svc")
    assert second.sha256 != first.sha256
    renewed = Authority("the next")
    door.issue("team-a", renewed)
    with pytest.raises(ssl.SSLCertVerificationError, match="unable to get local issuer"):
        await door.met("shop.team-a.svc")
    door.client = door.trusting(renewed)
    await door.met("shop.team-a.svc")
    (door.namespaces / "team-a.pem").unlink()
    door.client = door.trusting(door.authority)
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        await door.met("shop.team-a.svc")


async def test_a_file_that_can_not_be_used_leaves_the_last_one_or_the_proxys_own(
    door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    door.issue("team-a")
    before = await door.met("shop.team-a.svc")
    own = (await door.met("shop.db.example")).sha256
    for namespace in ("team-a", "team-b"):
        (door.namespaces / f"{namespace}.pem").write_text("no certificate")
    assert await door.met("shop.team-a.svc") == before
    assert (await met(door.certificate, host="shop.team-b.svc")).sha256 == own
    assert caplog.messages.count("certificate_unreadable") == 2


async def test_no_more_are_kept_than_the_bound_and_none_for_the_life_of_a_session(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(namespace_certificates, "LOADED_MAX", 2)
    kept = weakref.WeakSet[ssl.SSLContext]()

    def noted(certificate: Path, key: Path) -> Shown:
        shown = load(certificate, key)
        kept.add(shown.context)
        return shown

    monkeypatch.setattr(namespace_certificates, "load", noted)
    for number in range(5):
        door.issue(f"team-{number}")
    async with contextlib.AsyncExitStack() as sessions:
        for number in range(5):
            host = f"shop.team-{number}.svc"
            found = await sessions.enter_async_context(meeting(door.certificate, door.client, host))
            assert found.end_point == found.sha256
        gc.collect()
        assert len(kept) == 2


@pytest.mark.parametrize(
    ("server_name", "namespace"),
    [
        ("shop.team.db.example", "team"),
        ("SHOP.Team.SVC.cluster.local.", "team"),
        ("shop.db.example", "default"),
        ("shop.default.svc", "default"),
        ("db.example", None),
        ("../team.svc", None),
        ("a.b.team.svc", None),
        (None, None),
    ],
)
def test_which_namespace_a_host_name_means(server_name: str | None, namespace: str | None) -> None:
    assert namespace_named(server_name, DOMAINS) == namespace
