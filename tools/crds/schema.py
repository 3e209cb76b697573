"""From a pydantic model to a structural schema, as a custom resource wants it. Pure.

The API server accepts a part of OpenAPI 3.0 only: no references, no alternatives, every list with
its way to be merged. It also prices each rule by the bounds of what it looks at. So everything here
has bounds, and a model that leaves one out is refused; in a status, which no rule looks at, a wide
one is put there instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from pydantic import BaseModel

from crds import descriptions
from crds.rules import LIST_KEYS, RULES, Place

Schema = dict[str, Any]

STATUS_NAME_CHARACTERS_MAX = 253
"""Of a text in a status without a bound of its own: the longest name of an object or a host. Lines
for people have theirs."""

_KEPT = (
    "type",
    "format",
    "pattern",
    "enum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "maxProperties",
    "minimum",
    "maximum",
)


class Unbounded(ValueError):
    """A part of a spec that could be of any size."""


def structural(model: type[BaseModel], *, is_status: bool = False) -> Schema:
    """The schema of a spec or a status: whole, described, bounded, with its rules."""
    whole = model.model_json_schema(by_alias=True)
    return _Converter(whole.get("$defs", {}), is_status).of_model(model, whole)


class _Converter:
    def __init__(self, definitions: Mapping[str, Schema], is_status: bool) -> None:
        self._definitions = definitions
        self._is_status = is_status

    def of_model(self, model: type[BaseModel], source: Schema) -> Schema:
        words = descriptions.of_fields(model)
        defaults = defaults_of(model)
        properties: Schema = {}
        for name, field in model.model_fields.items():
            alias = field.alias or name
            place = Place(model.__name__, alias)
            made = self._of_value(source["properties"][alias], field.annotation, place)
            if alias in defaults and not self._is_status:
                made["default"] = defaults[alias]
            own = {"description": words[name]} if name in words else {}
            properties[alias] = own | made | own  # It stands first.
        required = [name for name in source.get("required", ()) if name in properties]
        return {
            "description": descriptions.of_class(model),
            "type": "object",
            **({"required": required} if required else {}),
            "properties": properties,
            **_validations(Place(model.__name__)),
        }

    def _of_value(self, source: Schema, annotation: object, place: Place) -> Schema:
        source = self._resolved(source)
        inner = _model_in(annotation)
        if source.get("type") == "object" and inner is not None:
            return {**self.of_model(inner, source), **_validations(place, of_model=inner)}
        made: Schema = {key: source[key] for key in _KEPT if key in source}
        if "exclusiveMinimum" in source:
            # Never a fraction: where the value is a whole number, its bounds are read as such.
            made |= {"minimum": source["exclusiveMinimum"], "exclusiveMinimum": True}
        if "const" in source:
            made["enum"] = [source["const"]]
        if made["type"] == "array":
            made["items"] = self._of_value(source["items"], annotation, place.item())
            made |= _merging(place)
        if made["type"] == "object":
            made["additionalProperties"] = self._of_value(
                source["additionalProperties"], None, place.item()
            )
        return self._bounded(made, place) | _validations(place)

    def _resolved(self, source: Schema) -> Schema:
        """Without a reference, and without the alternative ``null``: that is to leave it out."""
        if "anyOf" in source:
            (source,) = [each for each in source["anyOf"] if each.get("type") != "null"]
        if "$ref" in source:
            return self._definitions[source["$ref"].removeprefix("#/$defs/")]
        return source

    def _bounded(self, made: Schema, place: Place) -> Schema:
        bound = {"string": "maxLength", "array": "maxItems", "object": "maxProperties"}.get(
            made["type"]
        )
        if bound is None or bound in made or "enum" in made:
            return made
        if made["type"] == "string" and self._is_status:
            return {**made, "maxLength": STATUS_NAME_CHARACTERS_MAX}
        raise Unbounded(f"{place} has no {bound}")


def _model_in(annotation: object) -> type[BaseModel] | None:
    """The model that a field holds: itself, or in a list, or unless it is left out."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_model_in, get_args(annotation))), None)


def defaults_of(model: type[BaseModel]) -> Schema:
    """As a person would write them; what is nothing is left out, and what follows from other
    fields: an API server knows only one value for all.
    """
    follow = {name for name, field in model.model_fields.items() if field.default_factory}
    plain = model.model_construct(**dict.fromkeys(follow))
    made = plain.model_dump(mode="json", by_alias=True, exclude_none=True)
    return {name: _as_written(value) for name, value in made.items() if value != ""}


def _as_written(value: object) -> object:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _merging(place: Place) -> Schema:
    """How two who apply the same list come together: by key, or the last one wins."""
    key = LIST_KEYS.get(place)
    if key is None:
        return {"x-kubernetes-list-type": "atomic"}
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [key]}


def _validations(place: Place, of_model: type[BaseModel] | None = None) -> Schema:
    rules = RULES.get(place, ())
    if of_model is not None:
        rules = (*RULES.get(Place(of_model.__name__), ()), *rules)
    return {"x-kubernetes-validations": [rule.as_schema() for rule in rules]} if rules else {}
