"""Settings as a form shows them, read from a JSON schema: kind, prose, range, default."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["integer", "number", "choice", "yes_no", "text"]


@dataclass(frozen=True)
class SettingField:
    """One setting as a form shows it."""

    name: str
    kind: Kind
    description: str
    range: str
    default: Any
    choices: tuple[str, ...] = ()
    optional: bool = False


def read_field(name: str, schema: Mapping[str, Any]) -> SettingField:
    """The form field of one setting, from its part of the JSON schema."""
    kind, choices, wanted = _kind(schema)
    return SettingField(
        name=name,
        kind=kind,
        description=schema["description"],
        range=wanted,
        default=schema["default"],
        choices=choices,
        optional="anyOf" in schema,
    )


def _kind(schema: Mapping[str, Any]) -> tuple[Kind, tuple[str, ...], str]:
    if "anyOf" in schema:
        kind, choices, wanted = _kind(schema["anyOf"][0])
        return kind, choices, f"{wanted}, or empty"
    if "enum" in schema:
        return "choice", tuple(schema["enum"]), "one of " + ", ".join(schema["enum"])
    if schema["type"] == "boolean":
        return "yes_no", (), "true or false"
    if schema["type"] == "string":
        return "text", (), schema["range"]
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    after = "above " if "exclusiveMinimum" in schema else ""
    if schema["type"] == "integer":
        return "integer", (), f"a whole number from {low} to {schema['maximum']}"
    return "number", (), f"a number from {after}{low:g} to {schema['maximum']:g}"
