"""Configurations: coerced, completed, and their faults worded for people."""

from pathlib import Path

import pytest
import yaml

from config_help import ConfigError, complete, read_yaml

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text())


def shipped() -> dict:
    return yaml.safe_load((ROOT / "config.yaml").read_text())


def test_the_shipped_config_is_valid_and_whole() -> None:
    completed = complete(shipped(), SCHEMA, "config")
    assert completed == complete(completed, SCHEMA, "config")

    def keys(schema: dict, value: dict, path: str = "") -> None:
        for key, sub in schema.get("properties", {}).items():
            assert key in value, f"config.yaml lacks {path}{key}"
            if isinstance(value[key], dict):
                keys(sub, value[key], f"{path}{key}.")

    keys(SCHEMA, shipped())


def test_every_key_of_the_shipped_config_has_a_comment() -> None:
    lines = (ROOT / "config.yaml").read_text().splitlines()
    described = {
        "data",
        "filters",
        "licences",
        "split",
        "train",
        "val",
        "evaluate",
        "colorize",
        "report",
    }
    described |= {"title"}  # groups, and keys that the comment above their group explains
    described |= set(shipped()["data"]["split"]["assign"])
    for number, line in enumerate(lines):
        key = line.split(":")[0].strip()
        if ":" in line and not line.lstrip().startswith("#") and key not in described:
            above = lines[number - 1].lstrip()
            assert above.startswith("#") or key in {"test", "key"}, f"no comment above {line!r}"


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"data": {"size": "64"}}, 64),
        ({"data": {"size": 64}}, 64),
    ],
)
def test_nested_text_becomes_the_schema_type(given: dict, wanted: int) -> None:
    assert complete(given, SCHEMA, "config")["data"]["size"] == wanted


def test_text_of_lists_groups_numbers_and_null_is_read() -> None:
    completed = complete(
        {
            "experiments": "quick",
            "data": {
                "filters": {"chroma_std": "null", "brightness": "[1, 2]"},
                "split": {"assign": "null", "train": "1"},
            },
            "report": {"title": 1905},
        },
        SCHEMA,
        "config",
    )
    assert completed["experiments"] == ["quick"]
    assert completed["data"]["filters"]["chroma_std"] is None
    assert completed["data"]["filters"]["brightness"] == [1.0, 2.0]
    assert completed["data"]["split"]["assign"] is None
    assert isinstance(completed["data"]["split"]["train"], float)
    assert completed["report"]["title"] == "1905"


def test_an_override_that_repeats_the_value_is_that_value() -> None:
    plain = complete(shipped(), SCHEMA, "config")
    given = shipped()
    given["data"]["filters"]["chroma_std"] = str(given["data"]["filters"]["chroma_std"])
    given["data"]["shard_size"] = str(given["data"]["shard_size"])
    assert complete(given, SCHEMA, "config") == plain


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"dta": {}}, "unknown key dta; did you mean data?"),
        ({"data": {"sise": 3}}, "unknown key sise in data; did you mean size?"),
        ({"data": {"size": "large"}}, "data.size must be a whole number, not large"),
        ({"data": {"size": 8}}, "data.size must be at least 16, not 8"),
        ({"data": None}, "data must be a group of keys, not null"),
        ({"data": {"sources": []}}, "data.sources must not be empty"),
        ({"data": {"sources": [{"kind": "floder"}]}}, "did you mean folder?"),
        ({"data": {"sources": [{"path": "x"}]}}, "data.sources[0] lacks the key kind"),
        ({"colorize": {"format": "bmp"}}, "colorize.format is bmp"),
        ({"data": {"split": {"assign": {"cat": "tain"}}}}, "did you mean train?"),
        ({"data": {"filters": {"brightness": [1]}}}, "needs at least 2 entries, not 1"),
        ({"experiments": ["a", "a"]}, "names the same thing twice"),
        ({"data": {"filters": {"chroma_std": ".nan"}}}, "chroma_std must be a number or null"),
        ({"data": {"filters": {"chroma_std": float("nan")}}}, "must be a number or null"),
    ],
)
def test_faults_are_worded_for_people(given: dict, says: str) -> None:
    with pytest.raises(ConfigError) as fault:
        complete(given, SCHEMA, "config")
    assert says in str(fault.value)
    assert "\n" not in str(fault.value)


def test_spellings_of_numbers_and_keys_that_yaml_reads_otherwise() -> None:
    schema = {"type": "object", "properties": {"lr": {"type": "number"}, "n": {"type": "integer"}}}
    assert complete({"lr": "1e-3", "n": 16.0}, schema, "x") == {"lr": 0.001, "n": 16}
    assert isinstance(complete({"n": "16.0"}, schema, "x")["n"], int)
    assert complete({"archive": {1905: "scans"}}, SCHEMA, "x")["archive"] == {"1905": "scans"}


def test_a_file_that_is_not_yaml_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text("data:\n  size: [1, 2\nreport: {}\n")
    with pytest.raises(ConfigError, match=r"broken\.yaml is not YAML at line 3"):
        read_yaml(path)
    with pytest.raises(ConfigError, match="No such file"):
        read_yaml(tmp_path / "absent.yaml")


def test_every_schema_key_is_described_or_a_plain_group() -> None:
    def walk(schema: dict, path: str) -> None:
        for key, sub in schema.get("properties", {}).items():
            if sub.get("type") == "object":
                # Any key, if all values are of a kind: then the keys are names that a user gives.
                others = sub.get("additionalProperties")
                assert others is False or "type" in others, f"{path}{key} takes any key"
                walk(sub, f"{path}{key}.")

    walk(SCHEMA, "")
    assert SCHEMA["additionalProperties"] is False
