"""The data stages through Snakemake: several faulty sources at once, damaged shards, and splits.

One small set of synthetic photographs is run once; most tests look at it or at copies of it.
"""

import gzip
import hashlib
import json
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from faulty_server import LOGIN, FaultyServer, redirect, serving, status, whole
from miniature import Workspace, make_workspace
from photochrom.images import png_bytes
from photochrom.measures import Measures, measure
from photochrom.runtime import StageError
from photochrom.shards import load_split

# A folder that nothing may pass through a shell, or take for a Snakemake wildcard.
HOSTILE = 'it\'s {odd} $(touch hacked); "x"'
BITS = 6
NEAR_PAIRS = 2
COPIED = 2  # a photograph that trains

CONFIG = """\
data:
  sources:
    - {{kind: folder, path: {folder}, manifest: manifest.csv}}
    - {{kind: folder, path: more.zip, manifest: manifest.csv}}
    - {{kind: folder, path: cut.tar, manifest: manifest.csv}}
    - {{kind: urls, path: list.csv}}
  size: 32
  shard_size: 8
  filters: {{brightness: [10, 245], chroma_std: 2, near_grey: null, toned: null}}
  licences: {{allow: [CC0, "CC BY *"]}}
  near_duplicate_bits: {bits}
  split: {{train: 0.4, val: 0.3, test: 0.3, key: miniature, assign: null}}
  audit: ["judged {{odd}}", -judged.zip]
experiments: [mini.yaml]
colorize: {{weights: mini}}
"""


def scene(seed: int) -> np.ndarray:
    """Blocks of colour whose hash is like no other's, uint8 (48, 48, 3)."""
    coarse = np.random.default_rng(seed).integers(40, 216, (6, 6, 3)).astype(np.uint8)
    return np.kron(coarse, np.ones((8, 8, 1), np.uint8))


def blend(one: np.ndarray, other: np.ndarray, share: float) -> np.ndarray:
    return np.rint(one * (1 - share) + other * share).astype(np.uint8)


def hash_of(picture: np.ndarray, scratch: Path) -> int:
    scratch.write_bytes(png_bytes(picture))
    found = measure(scratch)
    assert isinstance(found, Measures)
    return int(found.phash, 16)


def near_pair(number: int, scratch: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two pictures that are no near-duplicates, and a third that is one of each."""
    one, other = scene(100 + number), scene(200 + number)
    blends = [blend(one, other, share) for share in np.linspace(0, 0.6, 31)]
    hashes = [hash_of(picture, scratch) for picture in blends]
    scratch.unlink()
    for last, end in enumerate(hashes):
        for between, middle in zip(blends[:last], hashes[:last], strict=True):
            distances = [
                (one ^ two).bit_count() for one, two in ((hashes[0], middle), (middle, end))
            ]
            if (hashes[0] ^ end).bit_count() > BITS and max(distances) <= BITS:
                return one, blends[last], between
    raise AssertionError("no such blend")


def fill(folder: Path) -> None:
    """Good photographs, near-duplicates to be, hostile names and all that is no photograph."""
    (folder / "sub").mkdir(parents=True)
    good = {f"good-{number}.png": scene(number) for number in range(8)}
    good |= {
        "sub/new\nline.png": scene(20),
        "-n.png": scene(21),
        os.fsdecode(b"caf\xe9.png"): scene(22),
    }
    good |= {"reserved.png": scene(23), "unnamed.png": scene(24)}
    for number in range(NEAR_PAIRS):
        one, other, _ = near_pair(number, folder / "scratch")
        good |= {f"near-{number}-a.png": one, f"near-{number}-b.png": other}
    for name, picture in good.items():
        (folder / name).write_bytes(png_bytes(picture))
    (folder / "zero.jpg").touch()
    (folder / "text.jpg").write_text("a letter")
    (folder / "cut.png").write_bytes(png_bytes(scene(25))[:200])
    (folder / "dangling.png").symlink_to("nowhere.png")
    (folder / "loop").symlink_to("..")
    os.mkfifo(folder / "pipe.png")
    os.mknod(folder / "socket.png", stat.S_IFSOCK | 0o600)


FOLDER_FAULTS = {
    "zero.jpg": "unreadable: zero bytes",
    "text.jpg": "unreadable: not an image",
    "cut.png": "unreadable: truncated or damaged",
    "dangling.png": "unreadable: no such file or directory",
    "loop": "unreadable: a link to a folder, not followed",
    "pipe.png": "unreadable: not a regular file",
    "socket.png": "unreadable: not a regular file",
}


def make_archives(folder: Path) -> None:
    with zipfile.ZipFile(folder / "more.zip", "w") as archive:
        for name, seed in (("in/zip.png", 30), ("../slip.png", 31), ("/absolute.png", 32)):
            archive.writestr(name, png_bytes(scene(seed)))
    with tarfile.open(folder / "whole.tar", "w") as tar:
        for number in range(3):
            (folder / "member").write_bytes(png_bytes(scene(40 + number)))
            tar.add(folder / "member", f"tar-{number}.png")
    data = (folder / "whole.tar").read_bytes()
    (folder / "cut.tar").write_bytes(data[: len(data) // 2])
    for name in ("member", "whole.tar"):
        (folder / name).unlink()


def make_list(folder: Path, server: FaultyServer) -> None:
    good, other = png_bytes(scene(50)), png_bytes(scene(51))
    server.answers = {
        "/good.png": whole(good),
        "/gone.png": status(404),
        "/login.png": whole(LOGIN, Content_Type="image/png"),
        "/swapped.png": whole(other),
        "/round.png": redirect("/round.png"),
        "/packed.png": whole(gzip.compress(bytes(10_000_000)), Content_Encoding="gzip"),
    }
    digest = hashlib.sha256(good).hexdigest()
    lines = [f"{server.url(path)},{digest},CC0,Web" for path in server.answers]
    (folder / "list.csv").write_text("\n".join(["url,sha256,licence,attribution", *lines]))


URL_FAULTS = {
    "gone.png": "unreadable: HTTP 404 Not Found",
    "login.png": "unreadable: a page of HTML instead of an image (a login or an error?)",
    "swapped.png": "unreadable: differs from its sha256 in the list",
    "round.png": "unreadable: more than 5 redirects",
    "packed.png": "unreadable: sent packed (gzip), which was not asked for",
}


def make_manifest(path: Path, names: list[str]) -> None:
    licences = {
        "reserved.png": "all rights reserved",
        "unnamed.png": None,
        "good-0.png": "CC BY 2.0",
    }
    rows = [
        f"{name},{licences.get(name, 'CC0')},Somebody" for name in names if licences.get(name, 1)
    ]
    path.write_text("\n".join(["file,licence,attribution", *rows]) + "\n")


@pytest.fixture(scope="module")
def server() -> Iterator[FaultyServer]:
    with serving() as running:
        yield running


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory, server: FaultyServer) -> Workspace:
    """The data stages, run once over all these sources. Tests must not change it."""
    workspace = make_workspace(tmp_path_factory.mktemp("data") / "collected")
    folder = workspace.path
    shutil.rmtree(folder / "photos")
    shutil.rmtree(folder / "scans")
    fill(folder / HOSTILE)
    make_archives(folder)
    make_list(folder, server)
    names = ["sub/new%0Aline.png", "caf%E9.png", "in/zip.png", *(f"tar-{n}.png" for n in range(3))]
    names += sorted(path.name for path in (folder / HOSTILE).iterdir() if path.name.isascii())
    make_manifest(folder / "manifest.csv", names)
    (folder / "judged {odd}").mkdir()
    (folder / "judged {odd}" / "new.png").write_bytes(png_bytes(scene(60)))
    with zipfile.ZipFile(folder / "-judged.zip", "w") as archive:
        archive.writestr("copy.png", png_bytes(scene(COPIED)))
    text = CONFIG.format(folder=json.dumps(HOSTILE), bits=BITS)
    (folder / "mini-config.yaml").write_text(text)
    workspace.run("data")
    return workspace


def copy_of(workspace: Workspace, to: Path) -> Workspace:
    """Like Workspace.copy, which cannot copy pipes and sockets."""
    subprocess.run(["cp", "-a", str(workspace.path), str(to)], check=True)
    return Workspace(to)


def test_every_fault_of_every_source_is_a_row_and_stops_no_other(
    collected: Workspace, server: FaultyServer
) -> None:
    rows = {row["original_name"]: row for row in collected.table("results/data/catalog.csv")}
    sources = collected.table("results/data/sources.csv")
    assert [row["original_name"] for row in sources] == list(rows)
    faults = FOLDER_FAULTS | {
        "../slip.png": "unreadable: its name leads out of the archive",
        "/absolute.png": "unreadable: its name is an absolute path",
        "cut.tar": "unreadable: the archive is cut off or damaged: empty header",
        **{server.url(f"/{name}"): reason for name, reason in URL_FAULTS.items()},
    }
    found = {
        row["original_name"]: row["reason"].split(";")[0]
        for row in rows.values()
        if row["verdict"] == "drop"
    }
    refused = {name for name, reason in found.items() if reason.startswith("licence: ")}
    assert refused == {"reserved.png", "unnamed.png"}
    assert {name: reason for name, reason in found.items() if name not in refused} == faults
    kept = rows.keys() - found.keys()
    assert kept >= {"good-0.png", "sub/new%0Aline.png", "-n.png", "caf%E9.png", "in/zip.png"}
    assert kept >= {"tar-0.png", server.url("/good.png")}
    assert len(collected.table("results/data/split.csv")) == len(kept)
    assert not list(collected.path.rglob("hacked"))
    assert not list(collected.path.parent.rglob("*slip*"))


def test_licences_reach_the_catalog_and_those_not_allowed_are_dropped(
    collected: Workspace, server: FaultyServer
) -> None:
    rows = {row["original_name"]: row for row in collected.table("results/data/catalog.csv")}
    credit = {name: (row["licence"], row["attribution"]) for name, row in rows.items()}
    assert credit["good-0.png"] == ("CC BY 2.0", "Somebody")
    assert credit["in/zip.png"] == ("CC0", "Somebody")
    assert credit[server.url("/good.png")] == ("CC0", "Web")
    assert credit[server.url("/gone.png")] == ("CC0", "Web")
    assert credit["unnamed.png"] == ("", "")
    assert rows["reserved.png"]["reason"] == "licence: all rights reserved is not allowed"
    assert rows["unnamed.png"]["reason"] == "licence: not stated is not allowed"
    log = (collected.path / "results" / "logs" / "filter.log").read_text()
    assert "data.licences.allow drops 2 of 21 pictures; 1 all rights reserved; 1 not" in log


def test_a_second_run_over_faulty_sources_does_nothing(collected: Workspace) -> None:
    assert collected.planned("data") == {}
    # Nor does another spelling of a path: the absolute one.
    config = collected.path / "mini-config.yaml"
    text = config.read_text()
    try:
        config.write_text(text.replace("more.zip", str(collected.path / "more.zip")))
        assert config.read_text() != text
        assert collected.planned("data") == {}
    finally:
        config.write_text(text)


def test_an_evaluation_archive_with_a_training_picture_is_reported(collected: Workspace) -> None:
    found = json.loads((collected.path / "results" / "data" / "audit.json").read_text())
    shared = [each for each in found["comparisons"] if each["exact"] or each["near"]]
    assert [(each["one"], each["other"], each["exact"], each["near"]) for each in shared] == [
        ("train", "-judged.zip", 1, 0)
    ]
    assert shared[0]["pairs"] == [{"one": f"good-{COPIED}.png", "other": "copy.png", "bits": None}]
    assert {each["other"] for each in found["comparisons"]} >= {"judged {odd}", "test"}
    log = (collected.path / "results" / "logs" / "audit.log").read_text()
    assert "train and -judged.zip share 1 pictures exactly" in log


def test_one_core_makes_the_same_bytes_as_two(collected: Workspace, tmp_path: Path) -> None:
    again = copy_of(collected, tmp_path / "again")
    for name in ("results", ".snakemake"):
        shutil.rmtree(again.path / name)
    again.run("data", "--cores", "1")
    tables = {name: digest for name, digest in collected.digests("results/data/*").items()}
    assert len(collected.digests("results/data/shards/*.h5")) > 2
    assert again.digests("results/data/shards/*") == collected.digests("results/data/shards/*")
    assert again.digests("results/data/*") == tables


@pytest.mark.parametrize("noticed", [True, False])
def test_a_damaged_shard_is_rebuilt_by_the_command_that_is_shown(
    collected: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, noticed: bool
) -> None:
    """A flipped bit: with a new time, which Snakemake notices, and as disks do it."""
    workspace = copy_of(collected, tmp_path / "damaged")
    shard = workspace.path / "results" / "data" / "shards" / "shard-00001.h5"
    before = workspace.digests("results/data/**/*")
    times = shard.stat()
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(data)
    if noticed:
        message = workspace.run("data", check=False).stdout
    else:
        os.utime(shard, ns=(times.st_atime_ns, times.st_mtime_ns))
        assert workspace.planned("data") == {}
        monkeypatch.chdir(workspace.path)
        with pytest.raises(StageError) as caught:
            load_split(Path("results/data/shards.csv"), Path("results/data/split.csv"), "train")
        message = str(caught.value)
    shown = re.search(
        r"shard results/data/shards/shard-00001\.h5 cannot be used: .*; rebuild it with `(.*)`$",
        message,
        re.MULTILINE,
    )
    assert shown, message
    command = shown[1].replace(" N ", " 1 ")
    done = subprocess.run(
        [sys.executable, "-m", *shlex.split(command)],
        cwd=workspace.path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout
    assert set(re.findall(r"^(?:local)?(?:rule|checkpoint) (\w+):", done.stdout, re.MULTILINE)) == {
        "normalize",
        "index_shards",
    }
    assert workspace.digests("results/data/**/*") == before
    assert workspace.planned("data") == {}


def test_only_pictures_of_joined_groups_move(collected: Workspace, tmp_path: Path) -> None:
    workspace = copy_of(collected, tmp_path / "grown")
    old = {row["id"]: row for row in collected.table("results/data/split.csv")}
    group = {row["group"]: row["split"] for row in old.values()}
    number = next(
        number
        for number in range(NEAR_PAIRS)
        if group[f"near-{number}-a.png"] != group[f"near-{number}-b.png"]
    )
    folder = workspace.path / HOSTILE
    _, _, between = near_pair(number, tmp_path / "scratch")
    added = {"joins.png": between, "0-first.png": scene(70), "z-last.png": scene(71)}
    with (workspace.path / "manifest.csv").open("a") as manifest:
        for name, picture in added.items():
            (folder / name).write_bytes(png_bytes(picture))
            manifest.write(f"{name},CC0,Somebody\n")
    workspace.run("data")

    new = {row["id"]: row for row in workspace.table("results/data/split.csv")}
    assert len(new) == len(old) + len(added)
    moved = {id for id, row in old.items() if new[id]["split"] != row["split"]}
    joined = {f"near-{number}-a.png", f"near-{number}-b.png"}
    assert len(moved) == 1
    assert {old[id]["group"] for id in moved} < joined
    (move,) = workspace.table("results/data/moves.csv")
    assert move["id"] in moved
    assert (move["before"], move["after"]) == (old[move["id"]]["split"], new[move["id"]]["split"])
    assert joined <= set(re.split(r"[ ,]+", move["why"]))
    log = (workspace.path / "results" / "logs" / "split.log").read_text()
    assert f"{move['original_name']} moved from {move['before']} to {move['after']}" in log
    audited = json.loads((workspace.path / "results" / "data" / "audit.json").read_text())
    splits = [each for each in audited["comparisons"] if each["other"] in ("val", "test")]
    assert [(each["exact"], each["near"]) for each in splits] == [(0, 0)] * 3
    assert workspace.planned("data") == {}


@pytest.mark.parametrize(
    ("sources", "says"),
    [
        ("{kind: folder, path: none}", "data.sources: none is not a folder, zip or tar"),
        ("{kind: urls, path: more.zip, manifest: m}", "data.sources: kind urls takes no manifest"),
    ],
)
def test_faulty_sources_end_in_one_line_before_any_work(
    collected: Workspace, sources: str, says: str
) -> None:
    done = collected.run("data", "--config", f"data={{sources: [{sources}]}}", check=False)
    assert done.returncode == 1, done.stdout
    assert "Traceback" not in done.stdout, done.stdout
    lines = [line for line in done.stdout.splitlines() if line.startswith("photochrom")]
    assert len(lines) == 1
    assert lines[0].startswith(f"photochrom: {says}")


def test_on_a_cluster_no_job_asks_for_more_cores_than_machines_have(collected: Workspace) -> None:
    """There --cores does not limit threads, here 64 do not."""
    text = collected.run(
        *("train", "--forcerun", "measure", "--dry-run", "--cores", "64"),
        *("--profile", "profiles/slurm", "--executor", "local"),
    ).stdout
    jobs = {}
    for block in text.split("\n[")[1:]:
        if found := re.match(r".*\n(?:local)?(?:rule|checkpoint) (\w+):", block):
            jobs[found[1]] = block
    threads = [int(count) for count in re.findall(r"^    threads: (\d+)", text, re.MULTILINE)]
    assert "threads: 8" in jobs["measure"]
    assert max(threads) == 8
    assert "runtime=240" in jobs["train_phase"]


@pytest.mark.parametrize(("asked", "left"), [((), sys.maxsize), (("7/1s",), 7)])
def test_jobs_a_second_are_only_limited_by_the_user(
    tmp_path: Path, asked: tuple[str, ...], left: int
) -> None:
    """Snakemake's own limit costs the more time, the more jobs have ended: see `unlimited`."""
    limit = ("--max-jobs-per-timespan", *asked) if asked else ()
    workspace = make_workspace(tmp_path / "workspace")
    text = workspace.run("--verbose", *limit, "results/data/sources.csv").stdout
    counts = re.findall(r"Resources after job selection: .*'_job_count': (\d+)", text)
    assert counts
    assert {int(count) for count in counts} == {left}
