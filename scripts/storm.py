"""Runs that are killed again and again on one store, whose files are damaged meanwhile, and what they leave in the end.

python scripts/storm.py --rounds 20                                       # in a folder that is _removed afterwards
python scripts/storm.py --rounds 20 --seed 7 --work DIR                   # the same kills and damages again, in DIR

In each round four runs with overlapping settings begin at once on an empty store, and each is killed (SIGKILL) at a
random moment; then a random file of the store is damaged in one of eight ways. This happens twice. Begun once more they
run to their end, and everything that they write must have the bytes of what they write alone and undisturbed. Exits
with 1 where it has not.
"""

import argparse
import contextlib
import multiprocessing
import os
import random
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

_COMMON = "runtime.batch_size=4 runtime.memory_gib=0.001 runtime.threads=1"  # many chunks and many tiles
_PHOTOS = f"{_COMMON} dataset=photos dataset.regions=2 n_images=20"
_SCENES = f"{_COMMON} dataset=scenes dataset.n_scenes=4 dataset.n_videos=2 dataset.n_frames=2 n_resamples=20"
RUNS = {
    "extract": f"extract {_PHOTOS} model.layers=[blocks.4,last]",
    "rsm": f"rsm {_PHOTOS} model.layers=[last]",
    "retrieve": f"retrieve {_SCENES} dataset.n_queries=6 n_neighbours=3 n_pictures=1 n_thumbnails=2",
    "correlate": f"correlate {_PHOTOS} model.layers=[last] n_resamples=20 n_permutations=20",
}
_KILLS = 2  # of each run in a round
_NO_RESULT = ("run.json", "config.yaml")  # they hold times and the command


def _cut_short(chunks: list[Path]) -> None:
    chunks[0].write_bytes(chunks[0].read_bytes()[:-9])


def _emptied(chunks: list[Path]) -> None:
    chunks[0].write_bytes(b"")


def _zeroed(chunks: list[Path]) -> None:
    chunks[0].write_bytes(bytes(chunks[0].stat().st_size))


def _one_bit_flipped(chunks: list[Path]) -> None:
    content = bytearray(chunks[0].read_bytes())
    content[len(content) // 2] ^= 4
    chunks[0].write_bytes(content)


def _swapped(chunks: list[Path]) -> None:
    first, second = chunks[0].read_bytes(), chunks[-1].read_bytes()
    chunks[0].write_bytes(second)
    chunks[-1].write_bytes(first)


def _removed(chunks: list[Path]) -> None:
    chunks[0].unlink()


def _metadata_spoiled(chunks: list[Path]) -> None:
    (_array_of(chunks[0]) / "zarr.json").write_text('{"shape": [1')


def _checksums_cut_short(chunks: list[Path]) -> None:
    path = _array_of(chunks[0]) / "checksums.csv"
    path.write_bytes(path.read_bytes()[:-20])


DAMAGES: tuple[Callable[[list[Path]], None], ...] = (
    *(_cut_short, _emptied, _zeroed, _one_bit_flipped, _swapped, _removed, _metadata_spoiled, _checksums_cut_short),
)


def _array_of(chunk: Path) -> Path:
    """The folder of the array that a chunk belongs to."""
    return next(parent.parent for parent in chunk.parents if parent.name == "c")


def _run(name: str, folder: Path, store: Path) -> None:
    """One run, as a process of its own: where `semrsm` would write, and what it would say."""
    os.chdir(folder)
    os.environ["SEMRSM_CACHE"] = str(store)
    with Path(f"{name}.log").open("wb") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    from semrsm_cli.cli import main

    sys.argv = ["semrsm", *RUNS[name].split(), f"hydra.run.dir={folder / name}"]
    try:
        main()
    except Exception:
        traceback.print_exc()
        raise SystemExit(1) from None


def _start(folder: Path, store: Path, names: Sequence[str] = tuple(RUNS)) -> dict[str, multiprocessing.Process]:
    """Begin runs at once, by processes that have imported everything already."""
    folder.mkdir(parents=True, exist_ok=True)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["torch", "timm", "hydra", "zarr", "scipy.stats", "matplotlib.figure", "semrsm_cli.launch"]
    )
    processes = {name: context.Process(target=_run, args=(name, folder, store)) for name in names}
    for process in processes.values():
        process.start()
    return processes  # type: ignore[return-value]


def finish(folder: Path, store: Path, names: Sequence[str] = tuple(RUNS)) -> dict[str, str]:
    """Let runs come to their end; what those said that failed."""
    processes = _start(folder, store, names)
    for process in processes.values():
        process.join()
    logs = {name: (folder / f"{name}.log").read_text(errors="replace") for name in names}
    return {
        name: f"exit code {process.exitcode}: {logs[name]}"
        for name, process in processes.items()
        if process.exitcode != 0 or "Traceback" in logs[name]
    }


def kill(folder: Path, store: Path, moments: dict[str, float]) -> dict[str, bool]:
    """Begin all runs and kill each after so many seconds; which of them lived that long."""
    start = time.monotonic()
    processes = _start(folder, store)
    alive = {}
    for name, moment in sorted(moments.items(), key=lambda item: item[1]):
        time.sleep(max(0.0, start + moment - time.monotonic()))
        alive[name] = processes[name].is_alive()
        processes[name].kill()
    for process in processes.values():
        process.join()
    return alive


def damage(store: Path, chance: random.Random) -> str:
    """Damage a random chunk in a random way; what was done."""
    chunks = sorted(path for path in store.rglob("c/**/*") if path.is_file() and not path.name.startswith("."))
    if not chunks:
        return "nothing to damage"
    chosen = chance.choice(chunks)
    of_array = [path for path in chunks if _array_of(path) == _array_of(chosen)]
    how = chance.choice(DAMAGES)
    how([chosen, chance.choice(of_array)])
    return f"{chosen.relative_to(store).parts[0]} {how.__name__.strip('_')}"


def results(folder: Path) -> dict[str, bytes]:
    """All that the runs wrote, by its place."""
    paths = [path for name in RUNS for path in (folder / name).rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths if path.name not in _NO_RESULT}


def differences(found: dict[str, bytes], expected: dict[str, bytes]) -> list[str]:
    """Names of the results that are missing, too many, or of other bytes."""
    return sorted(name for name in {*found, *expected} if found.get(name) != expected.get(name))


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def storm(work: Path, rounds: int, seed: int) -> int:
    """Run all rounds; the number of those that went wrong."""
    start = time.monotonic()
    for name in RUNS:  # each alone, in a store of its own
        if failed := finish(work / "alone", work / "stores" / name, [name]):
            raise SystemExit(f"the undisturbed run fails: {failed}")
    expected = results(work / "alone")
    span = (time.monotonic() - start) / len(RUNS) * 2
    _say(f"undisturbed: {len(expected)} files; kills come within {span:.1f} s")
    n_wrong = 0
    for number in range(rounds):
        chance = random.Random(f"{seed} {number}")
        folder, store = work / f"round_{number}", work / "stores" / f"round_{number}"
        notes = []
        for _ in range(_KILLS):
            alive = kill(folder, store, {name: chance.uniform(0, span) for name in RUNS})
            notes.append(f"{sum(alive.values())} killed, {damage(store, chance)}")
        failed = finish(folder, store)
        differ = differences(results(folder), expected)
        _say(f"round {number}: {'; '.join(notes)}: {'WRONG' if failed or differ else 'the same bytes'}")
        n_wrong += bool(failed or differ)
        for name in differ:
            _say(f"  differs: {name}")
        for name, complaint in failed.items():
            _say(f"  {name}: {complaint}")
        if not (failed or differ):
            shutil.rmtree(folder)
            shutil.rmtree(store)
    return n_wrong


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and let it storm."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, help="folder for stores and runs; what went wrong stays there")
    options = parser.parse_args(arguments)
    with contextlib.ExitStack() as stack:
        work = options.work or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        n_wrong = storm(work.resolve(), options.rounds, options.seed)
    _say(f"{options.rounds} rounds, {n_wrong} wrong")
    raise SystemExit(n_wrong > 0)


if __name__ == "__main__":
    main()
