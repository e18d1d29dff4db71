"""The split: stateless, by group, with groups assigned by name."""

from collections import Counter
from collections.abc import Sequence

import pytest

from photochrom.runtime import StageError
from photochrom.splits import choose_split, hash_share, split_of_groups, split_rows
from photochrom.tables import Row

SHARES = {"train": 0.8, "val": 0.1, "test": 0.1, "key": "photochrom", "assign": None}


def pictures(groups: Sequence[str]) -> list[Row]:
    return [
        {"id": f"{group}-{at}", "group": group, "original_name": group}
        for at, group in enumerate(groups)
    ]


def test_a_share_depends_on_key_and_group_alone() -> None:
    # Stated, because another value would move every picture of every user.
    assert hash_share("photochrom", "coffee") == pytest.approx(0.19, abs=0.005)
    assert hash_share("photochrom", "rocket") == pytest.approx(0.878, abs=0.0005)
    assert hash_share("other", "coffee") != hash_share("photochrom", "coffee")


def test_shares_fall_into_their_stretches() -> None:
    fractions = {"train": 8.0, "val": 1.0, "test": 1.0}  # proportions, not only fractions of 1
    assert choose_split(0.0, fractions) == "train"
    assert choose_split(0.7999, fractions) == "train"
    assert choose_split(0.8001, fractions) == "val"
    assert choose_split(0.9001, fractions) == "test"
    assert choose_split(0.99999999, {"train": 0.1, "val": 0.2, "test": 0.0}) == "val"


def test_groups_are_shared_out_as_asked() -> None:
    splits = split_of_groups(pictures([f"photo {at}" for at in range(5000)]), SHARES)
    counts = Counter(splits.values())
    assert counts["train"] == pytest.approx(4000, abs=100)
    assert counts["val"] == pytest.approx(500, abs=80)
    assert counts["test"] == pytest.approx(500, abs=80)


def test_adding_pictures_moves_none() -> None:
    names = [f"photo {at}" for at in range(200)]
    before = split_of_groups(pictures(names), SHARES)
    after = split_of_groups(pictures(["an earlier one", *reversed(names), "later"]), SHARES)
    assert {name: after[name] for name in names} == before


def test_another_key_is_another_split() -> None:
    names = [f"photo {at}" for at in range(200)]
    first = split_of_groups(pictures(names), SHARES)
    assert split_of_groups(pictures(names), SHARES | {"key": "other"}) != first


def test_assignment_wins_and_may_name_a_member_of_a_group() -> None:
    catalog = [*pictures(["coffee", "rocket"]), *pictures(["apple"])]
    catalog[2]["original_name"] = "pear"  # a near-duplicate of apple, whose group it is in
    splits = split_of_groups(catalog, SHARES | {"assign": {"coffee": "val", "pear": "test"}})
    assert splits["coffee"] == "val"
    assert splits["apple"] == "test"
    assert splits["rocket"] == choose_split(
        hash_share("photochrom", "rocket"), {"train": 0.8, "val": 0.1, "test": 0.1}
    )


def test_assigning_nothing_names_the_nearest() -> None:
    with pytest.raises(StageError, match="called cofee; the nearest name is coffee"):
        split_of_groups(pictures(["coffee", "rocket"]), SHARES | {"assign": {"cofee": "val"}})


def test_assigning_near_duplicates_apart_is_refused() -> None:
    catalog = pictures(["left", "left"])
    catalog[1]["original_name"] = "right"
    with pytest.raises(StageError, match="left goes to train and right to test, but they are near"):
        split_of_groups(catalog, SHARES | {"assign": {"left": "train", "right": "test"}})


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"train": -1}, "train must be a number of at least 0"),
        ({"val": "some"}, "val must be a number"),
        ({"train": 0, "val": 0, "test": 0}, "all 0"),
        ({"trian": 0.8}, "unknown key trian"),
        ({"assign": {"coffee": "training"}}, "must be one of train, val, test, not 'training'"),
    ],
)
def test_configurations_that_make_no_sense_are_refused(change: Row, complaint: str) -> None:
    with pytest.raises(StageError, match=complaint):
        split_of_groups(pictures(["coffee"]), SHARES | change)


def test_rows_say_where_each_picture_lies() -> None:
    catalog = pictures(["a", "b", "c"])
    shards = [{"shard": "shard-00000", "rows": "2"}, {"shard": "shard-00001", "rows": "1"}]
    rows = split_rows(shards, catalog, {"a": "train", "b": "val", "c": "test"})
    assert rows == [
        ("a-0", "shard-00000", 0, "a", 1, "train"),
        ("b-1", "shard-00000", 1, "b", 1, "val"),
        ("c-2", "shard-00001", 0, "c", 1, "test"),
    ]


def test_an_empty_split_says_what_to_change() -> None:
    shards = [{"shard": "shard-00000", "rows": "2"}]
    with pytest.raises(StageError, match=r"falls into val or test: .* only 1 group") as caught:
        split_rows(shards, pictures(["a", "a"]), {"a": "train"})
    assert "assign: {a: val}" in str(caught.value)


def test_shards_of_another_catalog_are_refused() -> None:
    with pytest.raises(StageError, match="hold 3 pictures but the catalog keeps 1"):
        split_rows([{"shard": "s", "rows": "3"}], pictures(["a"]), {"a": "train"})
