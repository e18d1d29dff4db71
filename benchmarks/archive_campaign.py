"""A large archive in one run that is killed twice: is every file accounted for, and is it level?

    python benchmarks/archive_campaign.py FOLDER [--files 20000] [--cores 2]

FOLDER gets an archive of small made scans of distinct content (JPEG, PNG and TIFF of 8 and 16 bits,
WebP; one in 200 is broken, in four ways), and `snakemake colorize` works on it with the shipped
model, in a folder of its own beside it. Its whole process group is killed twice with signal 9, when
a third and two thirds are done, and the same command typed again. Checked at the end: each file is
a row, broken ones failed and the others done, no original has changed, and what was finished before
a kill was not made again. Printed: files a second and memory for each tenth of the files, by the
order in which they were made.
"""

import argparse
import csv
import hashlib
import os
import platform
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

import numpy as np
import pyvips

KINDS = ("jpg", "png", "tif", "png16", "tif16", "webp")
BROKEN = 200  # one file in so many
SIDE = (96, 128)


def make(job: tuple[Path, int]) -> None:
    """One scan: smooth tones and grain, of its own number; or a broken one."""
    folder, number = job
    random = np.random.default_rng(number)
    coarse = random.normal(0, 60, (6, 8))
    tones = np.kron(coarse, np.ones((SIDE[0] // 6, SIDE[1] // 8)))
    grey = np.clip(128 + tones + random.normal(0, 6, SIDE), 0, 255)
    kind = KINDS[number % len(KINDS)]
    wide = kind.endswith("16")
    pixels = (grey * 257).astype(np.uint16) if wide else grey.astype(np.uint8)
    path = folder / f"box {number // 500:03}" / f"{number:05}.{kind.removesuffix('16')}"
    path.parent.mkdir(parents=True, exist_ok=True)
    image = pyvips.Image.new_from_array(pixels).copy(interpretation="grey16" if wide else "b-w")
    data = image.write_to_buffer(path.suffix)
    if number % BROKEN == BROKEN - 1:
        way = number // BROKEN % 4
        data = [b"", data[: len(data) // 2], os.urandom(500), b"<html>no picture</html>"][way]
    path.write_bytes(data)


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def made(out: Path) -> dict[str, int]:
    """When each derivative was finished, by its sidecar, which is written last."""
    sidecars = out.glob("box */[!.]*.colorized.*.json")  # those with a dot are half written
    return {str(path): path.stat().st_mtime_ns for path in sidecars}


def memory(group: int) -> int:
    """Resident memory in MB of the largest process of a group."""
    text = subprocess.run(["ps", "-eo", "pgid,rss"], capture_output=True, text=True, check=True)
    sizes = [
        int(rss) for pgid, rss in map(str.split, text.stdout.splitlines()[1:]) if int(pgid) == group
    ]
    return max(sizes, default=0) // 1000


def run(
    work: Path, archive: Path, cores: int, stop_at: int, seen: list[tuple[float, int, int]]
) -> int:
    """Snakemake until so many derivatives are there (then killed) or to its end; its exit code."""
    subprocess.run([sys.executable, str(ROOT / "workflow/rules/alive.py")], cwd=work, check=True)
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    command += ["--profile", str(ROOT / "profiles/default"), "--cores", str(cores)]
    command += ["colorize", "--config", f"archive={archive}", "colorize={weights: shipped}"]
    with (work / "run.log").open("a") as log:
        process = subprocess.Popen(
            command, cwd=work, stdout=log, stderr=log, start_new_session=True
        )
        while process.poll() is None:
            time.sleep(2)
            count = len(made(work / "results/colorized" / archive.name))
            seen.append((time.time(), count, memory(process.pid)))
            if count >= stop_at:
                os.killpg(process.pid, signal.SIGKILL)
        return process.wait()


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--cores", type=int, default=2)
    args = parser.parse_args()
    archive, work = (args.folder / name for name in ("scans", "work"))
    work.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor() as pool:
        list(pool.map(make, ((archive, number) for number in range(args.files)), chunksize=200))
    before = digests(archive)
    assert len(set(before.values())) >= args.files - args.files // BROKEN
    out = work / "results/colorized" / archive.name
    seen: list[tuple[float, int, int]] = []
    started = time.time()
    kept: dict[str, int] = {}
    for part in (1, 2, 3):
        code = run(work, archive, args.cores, args.files * part // 3 if part < 3 else 10**9, seen)
        now = made(out)
        again = [path for path, when in kept.items() if now.get(path) != when]
        print(f"run {part}: exit code {code}, {len(now):,} derivatives, {len(again)} made again")
        kept = now
        if again:
            return 1
    seconds = time.time() - started

    with (out / "status.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    broken = {name for name in before if int(re.findall(r"\d+", name)[-1]) % BROKEN == BROKEN - 1}
    wrong = [
        row["path"]
        for row in rows
        if (row["status"] in ("done", "done-with-warning")) == (row["path"] in broken)
    ]
    print(f"machine: {os.cpu_count()} cores, {platform.machine()}")
    print(
        f"{len(rows):,} rows for {len(before):,} files: {dict(Counter(r['status'] for r in rows))}"
    )
    print(
        f"rows of the wrong status: {len(wrong)}; originals changed: {before != digests(archive)}"
    )
    print(f"{seconds:.0f} s in all, with two kills and three starts")
    times = sorted(when / 1e9 for when in kept.values())
    print("| files | a second | largest process, MB |\n|---|---|---|")
    step = max(1, len(times) // 10)
    for first in range(0, len(times) - step + 1, step):
        start, end = times[first], times[first + step - 1]
        sizes = [size for when, _, size in seen if start <= when <= end] or [0]
        rate = step / max(1e-9, end - start)
        print(f"| {first:,} to {first + step:,} | {rate:.1f} | {max(sizes)} |")
    whole = set(before) == {row["path"] for row in rows}
    return 0 if whole and not wrong else 1


if __name__ == "__main__":
    sys.exit(main())
