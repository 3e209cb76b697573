"""The chart: what it refuses, what it makes, and that nothing of it may do more than it needs."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

import kustomize_base
from crds.files import texts
from kustomize_base import CHART, NAMESPACE
from manifests.charts import HELM, Json, Refused, helm, needs_helm, of_kind, rendered
from torpor_api.logs import Level
from torpor_api.logs import from_environment as log_settings
from torpor_autoscaler import settings as autoscaler_settings
from torpor_kube.names import LEADER_LABEL
from torpor_operator import settings as operator_settings
from torpor_operator.core.console import ROLES_FILE
from torpor_operator.core.server_certificates import NAMESPACES_SECRET, PARTS
from torpor_proxy.main import ANYWHERE, parse_options
from torpor_proxy.settings import Settings, from_environment

pytestmark = needs_helm

EVERYTHING: Json = {
    "image": {"registry": "registry.example:5000", "tag": "1.2.3", "pullSecrets": ["pull"]},
    "domains": ["db.example.org", "pg.example.org"],
    "logLevel": "warning,proxy=debug",
    "watchNamespaces": ["shop", "blog"],
    "defaultPool": {"spec": {"size": {"min": 2, "max": 5}}},
    "operator": {"nodeSelector": {"a": "b"}, "tolerations": [{"key": "c", "operator": "Exists"}]},
    "autoscaler": {"affinity": {"nodeAffinity": {}}, "priorityClassName": "urgent"},
    "proxy": {
        "replicas": 3,
        "service": {
            "type": "LoadBalancer",
            "annotations": {"example.org/internal": "true"},
            "loadBalancerClass": "example.org/lb",
            "loadBalancerSourceRanges": ["10.0.0.0/8"],
            "nodePort": 30432,
        },
        "settings": {"wake_timeout_s": 30},
    },
    "console": {"allow": ["10.0.0.0/8"]},
    "networkPolicy": {
        "clients": [{"namespaceSelector": {"matchLabels": {"team": "shop"}}}],
        "computeEgress": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}],
    },
    "metrics": {
        "from": [{"namespaceSelector": {"matchLabels": {"team": "watchers"}}}],
        "serviceMonitor": {"enabled": True, "interval": "15s", "labels": {"prometheus": "ours"}},
    },
    "certManager": {
        "authority": {"enabled": True},
        "server": {"enabled": True, "issuerRef": {"name": "public"}},
    },
}

LEAST: Json = {
    "crds": {"enabled": False},
    "defaultPool": {"enabled": False},
    "networkPolicy": {"enabled": False},
    "podDisruptionBudget": {"enabled": False},
}

EACH = pytest.mark.parametrize("values", [{}, EVERYTHING, LEAST], ids=["plain", "all", "least"])


def pod_specs(objects: list[Json]) -> Iterator[Json]:
    for each in objects:
        if each["kind"] == "Pod":
            yield each["spec"]
        elif each["kind"] == "Deployment":
            yield each["spec"]["template"]["spec"]


@EACH
def test_helm_has_nothing_to_say_against_it(values: Json) -> None:
    helm("lint", "--strict", str(CHART), "--namespace", NAMESPACE, values=values)


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"proxy": {"replicas": 0}}, "replicas"),
        ({"proxy": {"replica": 3}}, "replica"),
        ({"domains": ["*.example.org"]}, "domains"),
        ({"watchNamespaces": ["a.b"]}, "watchNamespaces"),
        ({"proxy": {"service": {"type": "ExternalName"}}}, "type"),
        ({"proxy": {"settings": {"sessions_max": 0}}}, "sessions_max"),
        ({"proxy": {"settings": {"sessions_maximum": 5}}}, "sessions_maximum"),
        ({"proxy": {"settings": {"sessions_max": 2.5}}}, "sessions_max"),
        ({"proxy": {"settings": {"drain_timeout_s": 5}}}, "drain_timeout_s"),
        ({"image": {"tag": "a b"}}, "tag"),
        ({"image": {"digests": {"proxy": "sha256:1"}}}, "digests"),
        ({"image": {"pullPolicy": "Always"}}, "image.registry is empty"),
        ({"operator": {"replicas": "two"}}, "replicas"),
        ({"logLevel": "loud"}, "logLevel"),
        ({"logLevel": "warning,cook=debug"}, "logLevel"),
        ({"logLevel": "supervisor=debug"}, "logLevel"),
    ],
)
def test_values_that_can_not_be_are_refused(values: Json, named: str) -> None:
    with pytest.raises(Refused, match=named):
        rendered(values)


@EACH
def test_every_pod_keeps_to_the_restricted_standard(values: Json) -> None:
    for spec in pod_specs(rendered(values)):
        security = spec["securityContext"]
        assert security["runAsNonRoot"] and security["runAsUser"] > 0
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys()
        kinds = {"secret", "emptyDir", "projected"}
        assert all(volume.keys() & kinds for volume in spec.get("volumes", []))
        for container in spec["containers"]:
            own = container["securityContext"]
            assert own["allowPrivilegeEscalation"] is False and own["readOnlyRootFilesystem"]
            assert own["capabilities"] == {"drop": ["ALL"]}
            assert {"requests", "limits"} <= container["resources"].keys()


@EACH
def test_every_object_says_where_it_belongs(values: Json) -> None:
    """Or ``kubectl apply`` of what was rendered would put it into somebody's own namespace."""
    cluster_wide = ("ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition")
    watched = values.get("watchNamespaces", ())
    for each in rendered(values):
        wanted = [None] if each["kind"] in cluster_wide else [NAMESPACE]
        wanted += watched if each["kind"] in ("Role", "RoleBinding") else []
        assert each["metadata"].get("namespace") in wanted, each["metadata"]["name"]
        assert each["metadata"]["labels"]["app.kubernetes.io/instance"] == "torpor"


@pytest.mark.parametrize("values", [{}, EVERYTHING], ids=["plain", "all"])
def test_named_ports_of_policies_and_services_are_there(values: Json) -> None:
    objects = rendered(values)
    pods = {
        each["metadata"]["labels"]["app.kubernetes.io/component"]: {
            port["name"]
            for container in each["spec"]["template"]["spec"]["containers"]
            for port in container["ports"]
        }
        for each in of_kind("Deployment", objects).values()
    }
    for service in of_kind("Service", objects).values():
        component = service["spec"]["selector"]["app.kubernetes.io/component"]
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= pods[component]
    for policy in of_kind("NetworkPolicy", objects).values():
        component = policy["metadata"]["labels"].get("app.kubernetes.io/component", "")
        rules = policy["spec"].get("ingress", [])
        named = {p["port"] for rule in rules for p in rule["ports"] if isinstance(p["port"], str)}
        assert named <= pods.get(component, set())


def test_the_custom_resources_stay_when_the_release_goes() -> None:
    found = of_kind("CustomResourceDefinition", rendered())
    made = {f"{name}.yaml": definition for name, definition in found.items()}
    assert made.keys() == texts().keys()
    for name, definition in made.items():
        assert definition["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
        assert definition["spec"] == yaml.safe_load(texts()[name])["spec"]
    assert not of_kind("CustomResourceDefinition", rendered(LEAST))


def test_everything_that_can_be_said_is_heard() -> None:
    objects = rendered(EVERYTHING)
    proxy = of_kind("Deployment", objects)["torpor-proxy"]["spec"]["template"]["spec"]
    container: Any = proxy["containers"][0]
    assert container["image"] == "registry.example:5000/torpor/proxy:1.2.3"
    domains = ["db.example.org", "pg.example.org", "svc", "svc.cluster.local"]
    assert [arg for arg in container["args"] if arg.startswith("--domain=")] == [
        f"--domain={domain}" for domain in domains
    ]
    assert {"name": "TORPOR_PROXY_WAKE_TIMEOUT_S", "value": "30"} in container["env"]
    service = of_kind("Service", objects)["torpor-proxy"]["spec"]
    assert (service["type"], service["externalTrafficPolicy"]) == ("LoadBalancer", "Local")
    assert service["ports"][0]["nodePort"] == 30432
    assert of_kind("WarmPool", objects)["default"]["spec"] == {"size": {"min": 2, "max": 5}}
    for account in of_kind("ServiceAccount", objects).values():
        assert account["imagePullSecrets"] == [{"name": "pull"}]
    clients = of_kind("NetworkPolicy", objects)["torpor-proxy"]["spec"]["ingress"][0]
    assert clients["from"] == EVERYTHING["networkPolicy"]["clients"]


def test_a_monitor_finds_the_metrics_of_each_part_that_has_some() -> None:
    assert not of_kind("ServiceMonitor", rendered())
    objects = rendered(EVERYTHING)
    monitor = of_kind("ServiceMonitor", objects)["torpor"]
    assert monitor["metadata"]["labels"]["prometheus"] == "ours"
    (endpoint,) = monitor["spec"]["endpoints"]
    assert (endpoint["path"], endpoint["interval"]) == ("/metrics", "15s")
    chosen = monitor["spec"]["selector"]["matchLabels"].items()
    services = {
        name: service["spec"]
        for name, service in of_kind("Service", objects).items()
        if chosen <= service["metadata"]["labels"].items()
    }
    assert sorted(services) == [
        "torpor-autoscaler-metrics",
        "torpor-operator-metrics",
        "torpor-proxy-metrics",
    ]
    for service in services.values():
        assert service["clusterIP"] == "None"
        assert [port["name"] for port in service["ports"]] == [endpoint["port"]]
    policies = of_kind("NetworkPolicy", objects)
    for component in ("operator", "autoscaler", "proxy"):
        last = policies[f"torpor-{component}"]["spec"]["ingress"][-1]
        assert last["from"] == EVERYTHING["metrics"]["from"]


def container_of(component: str, values: Json) -> Json:
    deployment = of_kind("Deployment", rendered(values))[f"torpor-{component}"]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return dict(container)


def mounts_of(container: Json) -> list[Path]:
    return [Path(mount["mountPath"]) for mount in container["volumeMounts"]]


@EACH
def test_the_autoscaler_understands_its_arguments(values: Json) -> None:
    container = container_of("autoscaler", values)
    settings = autoscaler_settings.from_arguments(container["args"])
    assert isinstance(settings.cluster, autoscaler_settings.OnKubernetes)
    assert settings.cluster.namespaces == tuple(values.get("watchNamespaces", ()))
    assert settings.cluster.lease == "torpor-autoscaler"
    name, *_ = container["env"]
    assert settings.cluster.identity == f"$({name['name']})"
    assert name["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.name"
    assert settings.tls in mounts_of(container)
    domain = [*values.get("domains", ()), "svc"][0]
    assert (settings.endpoint.host, settings.endpoint.port) == (f"*.{domain}", 5432)
    assert settings.warm == 0, "how many wait where nobody comes is the WarmPool's own minimum"


def test_the_service_of_the_autoscaler_leads_to_the_one_that_leads() -> None:
    """A standby does not listen."""
    services = of_kind("Service", rendered(EVERYTHING))
    assert services["torpor-autoscaler"]["spec"]["selector"][LEADER_LABEL] == "true"
    watched = services["torpor-autoscaler-metrics"]["spec"]["selector"]
    assert LEADER_LABEL not in watched, "a standby has metrics, too"


@EACH
def test_the_proxy_understands_its_arguments(values: Json) -> None:
    container = container_of("proxy", values)
    options = parse_options(container["args"])
    asked = {each["name"]: each["value"] for each in container["env"]}
    assert from_environment(asked).drain_timeout_s == 30.0
    assert options.certificate is not None
    assert options.namespaces is not None
    folders = {options.tls, options.certificate.parent, options.namespaces}
    assert folders <= {*mounts_of(container)}
    assert options.console is not None and options.console.parent in mounts_of(container)
    assert options.console.name == ROLES_FILE
    allowed = values.get("console", {}).get("allow", ANYWHERE)
    assert options.console_allow == tuple(allowed)
    assert options.service == f"torpor-proxy.{NAMESPACE}"
    assert options.domains[-2:] == ("svc", "svc.cluster.local")
    assert str(options.autoscaler) == f"torpor-autoscaler.{NAMESPACE}.svc:7434"


def test_without_a_console_nobody_has_roles_for_it() -> None:
    values: Json = {"console": {"enabled": False}}
    proxy = container_of("proxy", values)
    assert parse_options(proxy["args"]).console is None
    assert not any("console" in str(folder) for folder in mounts_of(proxy))
    assert "--no-console" in container_of("operator", values)["args"]
    assert "--no-console" not in container_of("operator", {})["args"]


def test_a_proxy_has_the_certificates_of_all_namespaces_mounted() -> None:
    deployment = of_kind("Deployment", rendered({}))["torpor-proxy"]
    volumes = {one["name"]: one for one in deployment["spec"]["template"]["spec"]["volumes"]}
    sources = [one["secret"] for one in volumes["namespaces-tls"]["projected"]["sources"]]
    wanted = {f"{NAMESPACES_SECRET}{part}" for part in range(PARTS)}
    assert {one["name"] for one in sources} == wanted
    assert all(one["optional"] for one in sources), "only those are there that are needed"


def test_every_setting_of_the_proxy_can_be_given_in_the_chart_and_no_other() -> None:
    """How long it drains is ``proxy.drainSeconds``, because the pod's own time follows from it."""
    schema = json.loads((CHART / "values.schema.json").read_text())
    listed = schema["properties"]["proxy"]["properties"]["settings"]["properties"]
    kinds = {name: one["$ref"].rpartition("/")[2] for name, one in listed.items()}
    assert kinds == {
        field.name: "count" if isinstance(field.default, int) else "seconds"
        for field in fields(Settings)
        if field.name != "drain_timeout_s"
    }


def test_a_large_number_arrives_as_it_was_written() -> None:
    """Helm reads the numbers of a file as floats: a million would become 1e+06."""
    wanted = {"pending_bytes_max": 1048576, "sessions_max": 20000000, "wake_timeout_s": 0.5}
    container = container_of("proxy", {"proxy": {"settings": wanted}})
    asked = {each["name"]: each["value"] for each in container["env"]}
    found = from_environment(asked)
    assert {name: getattr(found, name) for name in wanted} == wanted


@EACH
@pytest.mark.parametrize("component", ["proxy", "autoscaler", "operator"])
def test_how_much_a_log_tells_is_told_each_component(component: str, values: Json) -> None:
    container = container_of(component, values)
    asked = {each["name"]: each.get("value", "") for each in container["env"]}
    found = log_settings(asked, component, is_terminal=False)
    usual = Level.WARNING if values is EVERYTHING else Level.INFO
    is_talkative = values is EVERYTHING and component == "proxy"
    assert found.level is (Level.DEBUG if is_talkative else usual)


@EACH
def test_the_operator_understands_its_arguments(values: Json) -> None:
    container = container_of("operator", values)
    settings = operator_settings.from_arguments(container["args"])
    assert settings.namespace == NAMESPACE
    assert settings.domains == tuple(values.get("domains", ()))
    assert settings.watched == tuple(values.get("watchNamespaces", ()))
    accounts = of_kind("ServiceAccount", rendered(values))
    assert settings.compute_service_account in accounts
    assert settings.compute_log_level == values.get("logLevel", "")
    assert settings.compute_image == container["image"].replace("/operator:", "/compute:")
    service = of_kind("Service", rendered(values))[f"{settings.proxy_service}"]
    assert service["spec"]["ports"][0]["port"] == 5432


def test_a_budget_never_blocks_the_only_one() -> None:
    budgets = of_kind("PodDisruptionBudget", rendered({"proxy": {"replicas": 1}}))
    assert budgets.keys() == {"torpor-autoscaler", "torpor-operator"}


def test_two_releases_have_no_name_in_common() -> None:
    one, other = (
        {(each["kind"], each["metadata"]["name"]) for each in rendered(LEAST, release)}
        for release in ("torpor", "spare")
    )
    assert not one & other


@pytest.mark.parametrize("release", ["a" * 53, "a.b"])
def test_a_name_of_any_length_is_one(release: str) -> None:
    """Helm lets a release have 53 characters and points; a Service's name has 63 and no points."""
    for each in rendered(EVERYTHING, release):
        if each["kind"] in ("Service", "Pod", "Deployment", "ServiceAccount"):
            name = each["metadata"]["name"]
            assert re.fullmatch("[a-z]([-a-z0-9]{0,61}[a-z0-9])?", name), name
        assert each["metadata"]["labels"]["app.kubernetes.io/instance"] == release
    others = rendered(EVERYTHING, release[:-1] + "z")
    assert not of_kind("Service", others).keys() & of_kind("Service", rendered({}, release)).keys()


def test_the_names_may_be_chosen() -> None:
    names = of_kind("Deployment", rendered({"fullnameOverride": "pg"})).keys()
    assert names == {"pg-operator", "pg-autoscaler", "pg-proxy"}


def test_the_kustomize_base_is_the_chart() -> None:
    assert HELM is not None
    made = kustomize_base.rendered(HELM)
    assert kustomize_base.BASE.read_text() == made, "run `make manifests`"


def test_one_file_has_all_of_the_base() -> None:
    text = kustomize_base.INSTALL.read_text()
    assert text == kustomize_base.one_file(kustomize_base.BASE.read_text()), "run `make manifests`"
    objects = [each for each in yaml.safe_load_all(text) if each]
    names = {(each["kind"], each["metadata"]["name"]) for each in objects}
    assert len(names) == len(objects)
    base = yaml.safe_load_all(kustomize_base.BASE.read_text())
    assert names == {
        *((each["kind"], each["metadata"]["name"]) for each in base if each),
        *(("CustomResourceDefinition", name.removesuffix(".yaml")) for name in texts()),
        ("Namespace", NAMESPACE),
    }


@pytest.mark.skipif(not shutil.which("kubectl"), reason="no kubectl is on the PATH: no kustomize")
@pytest.mark.parametrize(("folder", "kind"), [("base", "Deployment"), ("pool", "WarmPool")])
def test_kustomize_builds_it(folder: str, kind: str) -> None:
    path = Path(kustomize_base.MANIFESTS, "kustomize", folder)
    built = subprocess.run(
        ["kubectl", "kustomize", str(path)], check=True, capture_output=True, text=True, timeout=60
    )
    objects = list(yaml.safe_load_all(built.stdout))
    assert of_kind(kind, objects)
    assert {each["metadata"].get("namespace", NAMESPACE) for each in objects} == {NAMESPACE}
