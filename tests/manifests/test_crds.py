"""The custom resources are what the models say, and what an API server wants of a schema."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest
import yaml
from pydantic import BaseModel, Field

from crds.definitions import serverless_databases, warm_pools
from crds.files import FOLDERS, texts
from crds.rules import LIST_KEYS, RULES, Place
from crds.schema import Unbounded, structural
from torpor_api.resource import ServerlessDatabase
from torpor_api.warm_pool import WarmPool

Json = dict[str, Any]

DEFINITIONS = (serverless_databases(), warm_pools())

MODELS = (ServerlessDatabase, WarmPool)

BOUNDS = {"string": "maxLength", "array": "maxItems", "object": "maxProperties"}


def schema_of(definition: Json) -> Json:
    schema: Json = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


def parts(schema: Json, path: str = "") -> Iterator[tuple[str, Json]]:
    """Every value that a resource may have, by its path."""
    yield path, schema
    for name, inner in schema.get("properties", {}).items():
        yield from parts(inner, f"{path}.{name}")
    for key, sign in (("items", "[]"), ("additionalProperties", "{}")):
        if key in schema:
            yield from parts(schema[key], path + sign)


PARTS = [
    pytest.param(part, id=definition["spec"]["names"]["kind"] + path)
    for definition in DEFINITIONS
    for path, part in parts(schema_of(definition))
    if path != ".metadata"
]


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_files_are_as_made(folder: Path) -> None:
    found = {file.name: file.read_text() for file in folder.glob("*.torpor.dev.yaml")}
    assert found == texts(), "run `make manifests`"


@pytest.mark.parametrize("part", PARTS)
def test_everything_has_a_type_and_bounds(part: Json) -> None:
    """The price of a rule is reckoned from them."""
    assert part["type"] in ("object", "array", "string", "integer", "number", "boolean")
    bound = BOUNDS.get(part["type"])
    is_limited = {bound, "enum", "properties"} & part.keys()
    assert bound is None or is_limited or part["description"].startswith(("The version", "What th"))


@pytest.mark.parametrize("part", PARTS)
def test_every_field_is_described(part: Json) -> None:
    for name, inner in part.get("properties", {}).items():
        if name != "metadata":
            assert inner["description"], name
            assert "``" not in inner["description"]


@pytest.mark.parametrize("part", PARTS)
def test_every_list_says_how_it_is_merged(part: Json) -> None:
    if part["type"] == "array":
        keys = part.get("x-kubernetes-list-map-keys", [])
        assert part["x-kubernetes-list-type"] == ("map" if keys else "atomic")
        assert set(keys) <= set(part["items"].get("required", ()))


@pytest.mark.parametrize("definition", DEFINITIONS)
def test_a_list_of_a_spec_is_applied_whole(definition: Json) -> None:
    """The first role and the first database are special: a merge would leave a default there."""
    spec = schema_of(definition)["properties"]["spec"]
    lists = [part for _, part in parts(spec) if part["type"] == "array"]
    assert lists and {part["x-kubernetes-list-type"] for part in lists} == {"atomic"}


@pytest.mark.parametrize("part", PARTS)
def test_every_rule_says_what_to_write(part: Json) -> None:
    for rule in part.get("x-kubernetes-validations", ()):
        assert 10 < len(rule["message"]) < 200
        field = rule.get("fieldPath", "").removeprefix(".")
        assert not field or field in part["properties"]


@pytest.mark.parametrize(("definition", "model"), [*zip(DEFINITIONS, MODELS, strict=True)])
def test_the_defaults_are_the_models(
    definition: Json, model: type[ServerlessDatabase] | type[WarmPool]
) -> None:
    spec = schema_of(definition)["properties"]["spec"]
    least = model.model_validate({"metadata": {"name": "shop"}}).spec
    follow = {name for name, field in type(least).model_fields.items() if field.default_factory}
    assert defaulted(spec, spec["default"]) == least.model_dump(
        mode="json", by_alias=True, exclude_none=True, exclude=follow
    )


def defaulted(schema: Json, value: Any) -> Any:
    """As the API server does it."""
    if isinstance(value, list):
        return [defaulted(schema["items"], each) for each in value]
    if not isinstance(value, dict):
        return value
    properties = schema.get("properties", {})
    left_out = {k: p["default"] for k, p in properties.items() if "default" in p and k not in value}
    return {k: defaulted(properties.get(k, {}), v) for k, v in (value | left_out).items()}


@pytest.mark.parametrize("definition", DEFINITIONS)
def test_a_status_has_no_defaults(definition: Json) -> None:
    """What nobody has reported is not so."""
    status = schema_of(definition)["properties"]["status"]
    assert [path for path, part in parts(status) if "default" in part] == []


@pytest.mark.parametrize("definition", DEFINITIONS)
def test_a_condition_is_one_of_kubernetes_own(definition: Json) -> None:
    status = schema_of(definition)["properties"]["status"]
    condition = status["properties"]["conditions"]["items"]
    assert {"type", "status", "reason", "message", "lastTransitionTime"} == {*condition["required"]}
    assert condition["properties"]["lastTransitionTime"]["format"] == "date-time"


def test_a_newer_operator_may_know_another_phase() -> None:
    """Its whole status would be refused by custom resources that are older."""
    status = schema_of(DEFINITIONS[0])["properties"]["status"]
    assert "enum" not in status["properties"]["phase"]


@pytest.mark.parametrize("definition", DEFINITIONS)
def test_who_deletes_all_does_not_mean_data(definition: Json) -> None:
    assert definition["spec"]["names"]["categories"] == ["torpor"]


@pytest.mark.parametrize("definition", DEFINITIONS)
def test_whether_it_is_ready_is_shown_at_once(definition: Json) -> None:
    columns = definition["spec"]["versions"][0]["additionalPrinterColumns"]
    (ready,) = [column for column in columns if column["name"] == "Ready"]
    assert "priority" not in ready


def test_every_rule_and_every_key_has_its_place() -> None:
    """A rule for a field that has another name by now would guard nothing."""
    text = "".join(texts().values())
    assert all(f"- {key}\n" in text for key in LIST_KEYS.values())
    found = [
        rule["rule"]
        for definition in DEFINITIONS
        for _, part in parts(schema_of(definition))
        for rule in part.get("x-kubernetes-validations", ())
    ]
    assert {rule.rule for rules in RULES.values() for rule in rules} <= set(found)


def test_what_has_no_bound_is_refused() -> None:
    class Endless(BaseModel):
        """Of any size."""

        name: str

    class Long(BaseModel):
        """Of any length."""

        names: tuple[Annotated[str, Field(max_length=5)], ...]

    with pytest.raises(Unbounded, match=r"field='name'.* has no maxLength"):
        structural(Endless)
    with pytest.raises(Unbounded, match=r"field='names'.* has no maxItems"):
        structural(Long)
    assert structural(Endless, is_status=True)["properties"]["name"]["maxLength"] > 0


def test_what_may_be_left_out_has_no_default_and_is_not_required() -> None:
    class Some(BaseModel):
        """One word or none."""

        word: Annotated[str, Field(max_length=5)] | None = None
        """It."""

    assert structural(Some)["properties"]["word"] == {
        "description": "It.",
        "type": "string",
        "maxLength": 5,
    }
    assert "required" not in structural(Some)


def test_the_columns_show_fields_that_exist() -> None:
    for definition in DEFINITIONS:
        paths = {path for path, _ in parts(schema_of(definition))}
        for column in definition["spec"]["versions"][0]["additionalPrinterColumns"]:
            plain = column["jsonPath"].split("[")[0]
            assert plain in paths | {".metadata.creationTimestamp"}, column["name"]


def test_a_place_says_what_it_is() -> None:
    assert Place("Access", "allow").item() == Place("Access", "allow", is_item=True)


def test_files_are_yaml_that_reads_as_it_was_made() -> None:
    assert [yaml.safe_load(text) for text in texts().values()] == list(DEFINITIONS)
