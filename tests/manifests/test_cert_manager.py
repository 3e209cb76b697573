"""What the chart asks of cert-manager: in the Secrets that the operator looks at."""

from __future__ import annotations

import pytest

from kustomize_base import NAMESPACE
from manifests.charts import Json, Refused, needs_helm, of_kind, rendered
from torpor_operator.core.certificates import GIVEN_SECRET
from torpor_operator.core.server_certificates import SERVER_SECRET

pytestmark = needs_helm

DOMAIN = "db.example.org"

AUTHORITY: Json = {"certManager": {"authority": {"enabled": True}}}


def server(**changes: object) -> Json:
    values = {"enabled": True, "issuerRef": {"name": "public", "kind": "ClusterIssuer"}}
    return {"certManager": {"server": values | changes}, "domains": [DOMAIN]}


def certificates(values: Json) -> dict[str, Json]:
    """By name, what they are to be."""
    found = of_kind("Certificate", rendered(values))
    assert all(one["apiVersion"] == "cert-manager.io/v1" for one in found.values())
    return {name: one["spec"] for name, one in found.items()}


def test_without_a_word_of_it_nothing_is_asked() -> None:
    assert not {"Certificate", "Issuer"} & {each["kind"] for each in rendered()}


def test_an_authority_that_signs_itself_is_where_the_operator_takes_one_from() -> None:
    (authority,) = certificates(AUTHORITY).values()
    assert authority["secretName"] == GIVEN_SECRET and authority["isCA"] is True
    issuer = of_kind("Issuer", rendered(AUTHORITY))[authority["issuerRef"]["name"]]
    assert issuer["spec"] == {"selfSigned": {}}
    assert issuer["metadata"]["namespace"] == NAMESPACE
    assert authority["privateKey"]["rotationPolicy"] == "Always", "they overlap, so it may change"
    assert authority["commonName"] == f"Torpor of {NAMESPACE}/torpor"


def test_what_clients_see_is_of_the_issuer_that_is_named() -> None:
    values = server(dnsNames=["*.shop.svc"]) | {"watchNamespaces": ["shop"]}
    (shown,) = certificates(values).values()
    assert shown["secretName"] == SERVER_SECRET
    assert shown["issuerRef"] == {
        "name": "public",
        "kind": "ClusterIssuer",
        "group": "cert-manager.io",
    }
    assert shown["dnsNames"] == [DOMAIN, f"*.{DOMAIN}", f"*.shop.{DOMAIN}", "*.shop.svc"]
    both = AUTHORITY["certManager"] | values["certManager"]
    assert len(certificates(values | {"certManager": both})) == 2


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"certManager": {"authority": {"enabled": True, "renewBefore": "24h"}}}, "is 24h"),
        ({"certManager": {"authority": {"duration": "1y"}}}, "duration"),
        ({"certManager": {"enabled": True}}, "enabled"),
        (server(issuerRef={}), "issuerRef.name is empty"),
        (server() | {"domains": []}, "neither domains nor"),
        (server(dnsNames=["*.*.example"]), "dnsNames"),
    ],
)
def test_what_can_not_be_is_refused(values: Json, why: str) -> None:
    with pytest.raises(Refused, match=why):
        rendered(values)
