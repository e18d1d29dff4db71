"""Check a configuration against its schema: coerce, fill in defaults, word errors for people.

Values from `--config` arrive as text, also nested ones ('data={size: 64}' gives the text "64"), so
they are coerced by the schema first; an override that repeats the configured value then is that
value, and reruns nothing. Used while the Snakefile is parsed: only the standard library, PyYAML
and jsonschema, all of which Snakemake loads anyway.
"""

import copy
import difflib
import math
from pathlib import Path
from typing import Any

import jsonschema
import yaml

_PYTHON_TYPES: dict[str, tuple[type, ...]] = {
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
    "array": (list,),
    "object": (dict,),
    "string": (str,),
}

_WORDS = {
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "null",
    "array": "a list",
    "object": "a group of keys",
    "string": "text",
}


class ConfigError(ValueError):
    """One line for a person: which key of which file is wrong, and what is allowed."""


def read_yaml(path: Path) -> Any:
    """The content of a YAML file; a ConfigError names the file and the line that is wrong."""
    try:
        with path.open(encoding="utf-8") as file:
            return yaml.safe_load(file)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}" if mark else "the start"
        problem = getattr(error, "problem", None) or "not UTF-8 text"
        raise ConfigError(f"{path} is not YAML at {where}: {problem}") from error


def complete(config: dict[str, Any], schema: dict[str, Any], name: str) -> dict[str, Any]:
    """A checked copy of `config`: text coerced to the schema's types, defaults filled in.

    `name` says in errors what was read ("config", or an experiment's file).
    """
    if not isinstance(config, dict):
        raise ConfigError(
            f"{name}: expected keys and values, found {_show(config)}; see config.yaml and "
            "workflow/experiments/quick.yaml for what such files look like"
        )
    schema = _resolve(config, schema)
    whole = _fill(_coerce(copy.deepcopy(config), schema), schema)
    validator = jsonschema.Draft202012Validator(schema)
    errors = sorted(validator.iter_errors(whole), key=lambda error: list(map(str, error.path)))
    if errors:
        raise ConfigError("; ".join(f"{name}: {_words(error)}" for error in errors[:5]))
    return whole


def _resolve(value: Any, schema: dict[str, Any]) -> dict[str, Any]:
    """The schema for this very value: keys that depend on another key's choice become plain ones.

    `allOf` holds such choices, each as `if: {properties: {KEY: {const: CHOICE}}}` and
    `then: {properties: ...}`. Where none applies the choice itself is wrong, and its error is
    enough.
    """
    given = value if isinstance(value, dict) else {}
    plain = {key: rule for key, rule in schema.items() if key != "allOf"}
    properties = dict(schema.get("properties", {}))
    for choice in schema.get("allOf", []):
        ((key, wanted),) = choice["if"]["properties"].items()
        if given.get(key, properties[key].get("default")) == wanted["const"]:
            properties |= choice["then"]["properties"]
            plain["additionalProperties"] = plain.pop("unevaluatedProperties")
    if schema.get("allOf"):
        plain.pop("unevaluatedProperties", None)
    if properties:
        plain["properties"] = {
            key: _resolve(given.get(key), rule) for key, rule in properties.items()
        }
    return plain


def _types(schema: dict[str, Any]) -> list[str]:
    kinds = schema.get("type", [])
    return [kinds] if isinstance(kinds, str) else list(kinds)


def _is(value: Any, kinds: list[str]) -> bool:
    if isinstance(value, bool):
        return "boolean" in kinds
    return any(isinstance(value, _PYTHON_TYPES[kind]) for kind in kinds)


def _coerce(value: Any, schema: dict[str, Any]) -> Any:
    """Read text as the schema's type, where it is not text already and reads as that type."""
    kinds = _types(schema)
    if isinstance(value, str) and kinds and "string" not in kinds:
        try:
            read = yaml.safe_load(value)
        except yaml.YAMLError:
            return value
        if isinstance(read, str) and "number" in kinds:
            read = _number(read)  # YAML 1.1 takes 1e-3 for text
        if isinstance(read, str) and "array" in kinds:
            read = [read]  # --config experiments=quick means a list of one
        read = _whole(read, kinds)
        value = read if _is(read, kinds) else value
    value = _whole(value, kinds)
    if isinstance(value, float) and not math.isfinite(value):
        value = str(value)  # no key means anything by it, so its type is named as wrong
    elif kinds == ["string"] and isinstance(value, (int, float)) and not isinstance(value, bool):
        value = str(value)  # --config 'report={title: 1905}'
    if isinstance(value, dict):
        known = schema.get("properties", {})
        rest = schema.get("additionalProperties")
        rest = rest if isinstance(rest, dict) else {}
        value = {str(key): item for key, item in value.items()}
        return {key: _coerce(item, known.get(key, rest)) for key, item in value.items()}
    if isinstance(value, list) and isinstance(schema.get("items"), dict):
        return [_coerce(item, schema["items"]) for item in value]
    if isinstance(value, int) and not isinstance(value, bool) and kinds and "integer" not in kinds:
        return float(value) if "number" in kinds else value  # so that 1 and 1.0 are one value
    return value


def _whole(value: Any, kinds: list[str]) -> Any:
    """16.0 as 16, where a whole number is wanted."""
    wanted = "integer" in kinds and "number" not in kinds
    return int(value) if wanted and isinstance(value, float) and value.is_integer() else value


def _number(text: str) -> Any:
    """The number that a text means, or the text itself."""
    try:
        return float(text)
    except ValueError:
        return text


def _fill(value: Any, schema: dict[str, Any]) -> Any:
    if isinstance(value, dict):
        for key, sub in schema.get("properties", {}).items():
            if key not in value and "default" in sub:
                value[key] = _coerce(copy.deepcopy(sub["default"]), sub)
            if key in value:
                value[key] = _fill(value[key], sub)
        rest = schema.get("additionalProperties")
        if isinstance(rest, dict):
            for key in value.keys() - schema.get("properties", {}).keys():
                value[key] = _fill(value[key], rest)
    elif isinstance(value, list) and isinstance(schema.get("items"), dict):
        value = [_fill(item, schema["items"]) for item in value]
    return value


def _show(value: Any) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=1000)
    text = text.removesuffix("\n...\n").strip()
    return text if len(text) <= 60 else text[:57] + "..."


def _key(path: Any) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".") or "the top level"


def _words(error: jsonschema.ValidationError) -> str:
    """One schema violation in words, with the nearest valid key or value."""
    key, value, schema = _key(error.path), error.instance, error.schema
    if error.validator == "additionalProperties":
        known = sorted(schema.get("properties", {}))
        strange = sorted(set(map(str, value)) - set(known))[0]
        close = difflib.get_close_matches(strange, known, n=1)
        advice = f"did you mean {close[0]}?" if close else f"allowed are {', '.join(known)}"
        where = "" if key == "the top level" else f" in {key}"
        return f"unknown key {strange}{where}; {advice}"
    if error.validator == "enum":
        allowed = [_show(item) for item in error.validator_value]
        close = difflib.get_close_matches(str(value), allowed, n=1)
        advice = f"did you mean {close[0]}?" if close else f"allowed are {', '.join(allowed)}"
        return f"{key} is {_show(value)}; {advice}"
    if error.validator == "type":
        wanted = " or ".join(_WORDS[kind] for kind in _types(schema))
        return f"{key} must be {wanted}, not {_show(value)}"
    if error.validator == "required":
        missing = sorted(set(error.validator_value) - set(value))[0]
        return f"{key} lacks the key {missing}"
    bounds = {
        "minimum": "at least",
        "maximum": "at most",
        "exclusiveMinimum": "more than",
        "exclusiveMaximum": "less than",
    }
    if error.validator in bounds:
        return f"{key} must be {bounds[error.validator]} {error.validator_value}, not {value}"
    if error.validator in ("minItems", "minLength", "minProperties"):
        if not value:
            return f"{key} must not be empty"
        return f"{key} needs at least {error.validator_value} entries, not {len(value)}"
    if error.validator == "maxItems":
        return f"{key} takes at most {error.validator_value} entries, not {len(value)}"
    if error.validator == "multipleOf":
        return f"{key} must be a multiple of {error.validator_value}, not {value}"
    if error.validator == "pattern":
        return (
            f"{key} is {_show(value)}; use letters, digits, . _ - and begin with a letter or digit"
        )
    if error.validator == "uniqueItems":
        return f"{key} names the same thing twice: {_show(value)}"
    return f"{key}: {error.message}"
