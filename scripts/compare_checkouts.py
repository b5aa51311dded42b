"""Run the same commands with two checkouts, and compare what they leave byte by byte.

python scripts/compare_checkouts.py OLD NEW --work DIR                     # every subcommand, every experiment in small
python scripts/compare_checkouts.py OLD NEW --work DIR --reuse-old         # what OLD left in DIR is not made again
python scripts/compare_checkouts.py OLD NEW --work DIR --only cka rsm/files

Each side runs in a folder of its own, DIR/old and DIR/new, each run with an empty store. Compared are tables, figures,
arrays, thumbnails and checkpoints, but for EXCEPTIONS. Exits with 1 where anything else differs.
"""

import argparse
import csv
import json
import os
import re
import shutil
import subprocess
import sys
import time
import zlib
from collections.abc import Sequence
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

import numpy as np
import skimage
from PIL import Image

PAPER_CKA = "--multirun dataset=tiny_imagenet n_images=8 batch_images=4"
RANDOM_VIT = "model=timm model.name=vit_tiny_patch16_224 model.weights=random"
SEEDS = "--multirun seed=0,1 hydra.sweep.subdir=seed_${seed}"
SHORT = "recipe.width=8 recipe.epochs=1 recipe.batch_size=8"
UNTIMED = "seconds_per_cell=1000"  # enough for every method to match every pair

# The folder of each run below outputs/, which begins with its subcommand, and its settings in the words of NEW.
# Later runs read earlier ones.
RUNS = {
    # the subcommands as they are
    "translate/default": "",
    "retrieve/default": "",
    "correlate/default": "",
    "cka/default": "",
    "train/default": "",
    "rsm/default": "",
    "bench/default": f"n_pairs=1 {UNTIMED}",
    "extract/default": "",
    # networks by every recipe: those that the experiments below look for, and some more
    "train/small": f"{SEEDS} recipe.epochs=2",
    "train/ResNet18_tiny_imagenet": f"{SEEDS} dataset=tiny_imagenet recipe=tiny_imagenet {SHORT} label=ResNet18",
    "train/ResNet101_tiny_imagenet/seed_0": "dataset=tiny_imagenet recipe=tiny_imagenet recipe.architecture=resnet101 "
    f"{SHORT} label=ResNet101",
    "train/ResNet34_imagenet/seed_0": f"dataset=imagenet recipe=imagenet recipe.architecture=resnet34 {SHORT}",
    "train/ResNet10_folder/seed_0": "dataset=folder dataset.root=../data/tiny-imagenet-200/train recipe=cifar100 "
    f"recipe.architecture=resnet10 {SHORT} val_fraction=0.25",  # CIFAR-100's own files are known by their checksums
    # every experiment in small, with embedded or random networks in place of those of the hub
    "translate/fig2": "experiment=translate_fig2 n_pairs=2 n_batches=2",
    "translate/fig2_hub": "experiment=translate_fig2_hub model=efficientnet_lite0 n_batches=2",
    "translate/fig7": "experiment=translate_fig7 model.weights=random model.revision=null n_pairs=3 n_batches=1",
    "correlate/table1": "experiment=correlate_table1 model=efficientnet_lite0 n_images=120",
    "correlate/table4": f"experiment=correlate_table4 {RANDOM_VIT} n_images=110",
    "retrieve/table2": "experiment=retrieve_table2 model=efficientnet_lite0 dataset.n_queries=8 dataset.n_database=110",
    "retrieve/table2_vit": f"experiment=retrieve_table2 {RANDOM_VIT} dataset.n_queries=8 dataset.n_database=30",
    "retrieve/table3": "experiment=retrieve_table3 model=efficientnet_lite0 sigma_tile=10 "
    "model.layers=[blocks.2.1]",  # 784 positions, so that batches of 512 are an approximation
    "retrieve/sensitivity": "experiment=retrieve_sensitivity --multirun dataset=scenes model=efficientnet_lite0 "
    "dataset.n_queries=8 dataset.n_database=24",
    "correlate/sensitivity": "experiment=correlate_sensitivity --multirun dataset=photos_204 model=efficientnet_lite0 "
    "n_images=24",
    "bench/fig5": f"experiment=bench_fig5 n_images=3 n_pairs=2 n_exact=64 {UNTIMED}",
    "bench/table5": f"experiment=bench_table5 n_images=3 n_pairs=2 positions=[256,1024] {UNTIMED}",
    "cka/fig15": f"experiment=cka_fig15 model.label=ResNet18 {PAPER_CKA}",
    "cka/fig16": f"experiment=cka_fig16 model.label=ResNet101 {PAPER_CKA}",
    "cka/fig17": f"experiment=cka_fig17 model.label=ResNet18 {PAPER_CKA}",
    "cka/trained": "experiment=cka_trained n_images=20",
    # settings that no experiment has
    "rsm/files": "x=../data/x.npy y=../data/y.npy kernel=linear matching=topk_greedy matching.n_exact=16 "
    "runtime.threads=2",
    "rsm/translation": "n_images=20 invariance=translation kernel=rbf kernel.sigma_tile=8 centering=channel",
    "cka/files": "x=[../data/layers.npz] y=../data/x.npy matching=greedy",
    "cka/between": "model=trained model.name=outputs/train/small/seed_0 model_names=[outputs/train/small/seed_1] "
    "between_networks=true dataset=scenes dataset.objects=true n_images=12 model.layers=[layer3,layer4] "
    "estimator=unbiased",
    "retrieve/folder": "dataset=folder dataset.root=../data/tiny-imagenet-200/train dataset.labels=../data/labels.csv "
    "dataset.split_file=../data/split.csv invariances=[none,translation,pooled,permutation] n_neighbours=3 shortlist=6 "
    "runtime.num_workers=2",
    "correlate/depth": "model.layers=[blocks.4.2,last] invariances=[none,translation,pooled,permutation] n_images=40 "
    "sigma=500",
    "report": "",
}

# What a setting of NEW is called in OLD, by subcommand; "" holds for all.
OLD_WORDS: dict[str, dict[str, str]] = {
    "": {
        "runtime.num_workers": "runtime.loaders",
        "runtime.threads": "runtime.workers",
        "matching.n_exact": "matching.k",
        "dataset.split_file": "dataset.draw",
    },
    "retrieve": {"n_neighbours": "k"},
    "bench": {"n_exact": "k"},
    "cka": {"x": "a", "y": "b", "model_names": "names", "between_networks": "across"},
    "train": {
        "val_fraction": "hold_out",
        **{f"recipe.{name}": name for name in ("architecture", "width", "epochs", "batch_size")},
    },
}

SECONDS = ("seconds_mean", "seconds_median", "times_optimal")
# RUN/FILE, and columns of it that are not compared; none named: nothing of it is compared. The first that fits counts.
EXCEPTIONS: dict[str, tuple[str, ...]] = {
    # times are never the same twice
    "bench/*/tables/matching.csv": SECONDS,
    "bench/*/tables/matching.*": (),
    "bench/*/figures/runtime.*": (),
    "report/tables/joined_matching.csv": SECONDS,
    "report/tables/table5.csv": ("* ms",),
    "report/tables/table5.*": (),
    # a key of the store is a hash over the names of settings, too
    "extract/*/tables/representations.csv": ("key",),
    "extract/*/tables/representations.*": (),
    # one network of files is called x, as its setting, and was called a
    "cka/files/tables/*.csv": ("model_a", "model_b"),
    "cka/files/tables/*": (),
    "cka/files/figures/*": (),
    "report/tables/joined_cka.csv": ("model_a", "model_b"),
    # greedy matchings have one upper bound now, the smaller of the two that they had
    "rsm/files/tables/rsm.csv": ("certified_gap",),
    "rsm/files/tables/rsm.*": (),
}

COMPARED = {"tables", "figures", "arrays", "thumbnails"}
START = "from semrsm_cli.cli import main; main()"
WHERE = "import semrsm_cli; print(semrsm_cli.__file__)"
PHOTOGRAPHS = ("astronaut.png", "chelsea.png", "coffee.png", "ihc.png", "motorcycle_left.png", "rocket.jpg")
CLASSES = ("n01440764", "n01443537", "n02124075", "n07749582")


def main() -> None:
    """Run, compare, and write a line for each run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", type=Path, help="checkout to compare with")
    parser.add_argument("new", type=Path, help="checkout to compare")
    parser.add_argument("--work", type=Path, required=True, help="folder for images and outputs")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these runs, or all of a subcommand")
    parser.add_argument("--reuse-old", action="store_true", help="take what OLD left in the work folder")
    parser.add_argument("--same-words", action="store_true", help="NEW, too, has the old names of settings")
    parser.add_argument("--keep", action="store_true", help="keep the store of each run")
    options = parser.parse_args()
    chosen = [name for name in RUNS if not options.only or {name, name.split("/")[0]} & set(options.only)]
    sides = {"old": options.old.resolve(), "new": options.new.resolve()}
    work = options.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    for checkout in sides.values():
        require_checkout(checkout, work)
    write_data(work / "data")
    all_equal = True
    for name in chosen:
        notes = []
        for side, checkout in sides.items():
            command = command_line(name, old_words=side == "old" or options.same_words)
            reuse = side == "old" and options.reuse_old and name != "report"  # which reads all other runs
            if reuse and is_done(work / side, name, command):
                notes.append("old from before")
            else:
                notes.append(f"{side} {execute(checkout, work / side, name, command, keep=options.keep)}")
        equal, line = compare(work / "old" / "outputs" / name, work / "new" / "outputs" / name, name)
        all_equal &= equal and not any("FAILED" in note for note in notes)
        sys.stdout.write(f"{name}: {line} ({', '.join(notes)})\n")
        sys.stdout.flush()
    sys.exit(0 if all_equal else 1)


def require_checkout(folder: Path, work: Path) -> None:
    """Exit unless Python, started in `work`, finds the package of this checkout, not an installed one."""
    done = subprocess.run(
        [sys.executable, "-c", WHERE],
        cwd=work,
        env=os.environ | {"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode or not Path(done.stdout.strip()).is_relative_to(folder):
        sys.exit(f"{folder} is no checkout of semrsm: {done.stderr.strip() or done.stdout.strip()}")


def command_line(name: str, *, old_words: bool) -> list[str]:
    """The arguments of `semrsm` for a run, with the folder of the run or sweep."""
    task, settings = name.split("/")[0], RUNS[name].split()
    kind = "sweep" if "--multirun" in settings else "run"
    if old_words:
        settings = in_old_words(task, settings)
    return [task, f"hydra.{kind}.dir=outputs/{name}", *settings]


def in_old_words(task: str, settings: Sequence[str]) -> list[str]:
    """Settings as OLD calls them."""
    words = OLD_WORDS[""] | OLD_WORDS.get(task, {})
    pairs = (setting.partition("=") for setting in settings)
    return [f"{words.get(key, key)}{equals}{value}" for key, equals, value in pairs]


def is_done(side: Path, name: str, command: list[str]) -> bool:
    """Whether this very command ended well there."""
    record = side / "done" / f"{name}.json"
    return record.is_file() and json.loads(record.read_text()) == command


def execute(checkout: Path, side: Path, name: str, command: list[str], *, keep: bool) -> str:
    """Run `semrsm` from a checkout in the folder of its side; returns its seconds, or how it failed."""
    store, record, log = side / "store" / name, side / "done" / f"{name}.json", side / "logs" / f"{name}.txt"
    for folder in (side / "outputs" / name, store):
        shutil.rmtree(folder, ignore_errors=True)
    for path in (record, log, store):
        path.parent.mkdir(parents=True, exist_ok=True)
    record.unlink(missing_ok=True)
    for path in (side / "outputs").rglob("*.csv"):  # `report` sorts runs by time, and those of equal time by name
        os.utime(path, (0, 0))
    unset = ("CITYSCAPES_DATASET", "SEMRSM_DATA")
    environment = {key: value for key, value in os.environ.items() if key not in unset} | {
        "PYTHONPATH": str(checkout),
        "SEMRSM_CACHE": str(store),
        "SEMRSM_DATA": str(side.parent / "data"),
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
        "MPLBACKEND": "Agg",
    }
    start = time.perf_counter()
    with log.open("w") as file:
        done = subprocess.run(
            [sys.executable, "-c", START, *command],
            cwd=side,
            env=environment,
            stdout=file,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if not keep:
        shutil.rmtree(store, ignore_errors=True)
    if done.returncode:
        return f"FAILED with {done.returncode}, see {log}"
    record.write_text(json.dumps(command))
    return f"{time.perf_counter() - start:.0f} s"


def compare(old: Path, new: Path, name: str) -> tuple[bool, str]:
    """Whether two folders hold the same results, and what is to be said of them."""
    olds, news = results(old), results(new)
    both = olds.keys() & news.keys()
    differing, n_left_out = [], 0
    for file in sorted(both):
        columns = next((value for key, value in EXCEPTIONS.items() if fnmatch(f"{name}/{file}", key)), None)
        if columns == ():
            n_left_out += 1
        elif columns is None and not same_content(olds[file], news[file]):
            differing.append(f"{file} ({difference(olds[file], news[file])})")
        elif columns and without(olds[file], columns) != without(news[file], columns):
            differing.append(f"{file} ({difference(olds[file], news[file], columns)})")
    parts = [f"{len(both) - len(differing) - n_left_out} files equal"]
    parts += [f"{n_left_out} not compared"] * bool(n_left_out)
    parts += [f"DIFFERING: {', '.join(differing)}"] * bool(differing)
    for side, missing in (("old", news.keys() - both), ("new", olds.keys() - both)):
        parts += [f"MISSING in {side}: {', '.join(sorted(missing))}"] * bool(missing)
    equal = bool(both) and not differing and olds.keys() == news.keys()
    return equal, "; ".join(parts)


def results(folder: Path) -> dict[str, Path]:
    """The files of a run, or of all runs of a sweep, that are compared."""
    files = {path.relative_to(folder): path for path in folder.rglob("*") if path.is_file()}
    return {
        file.as_posix(): path
        for file, path in files.items()
        if COMPARED & set(file.parts[:-1]) or file.stem == "checkpoint"
    }


def same_content(old: Path, new: Path) -> bool:
    """Whether two files hold the same bytes, or two PDFs draw the same."""
    if old.read_bytes() == new.read_bytes():
        return True
    return old.suffix == ".pdf" and drawn(old.read_bytes()) == drawn(new.read_bytes())


def drawn(pdf: bytes) -> bytes:
    """What a PDF draws, without compression, lengths and offsets, and without the sign of zero.

    The solver of Matplotlib's constrained layout goes by addresses in memory, and so leaves that sign to chance.
    """
    body = re.sub(rb"(?<=stream\n).*?(?=\nendstream)", lambda found: inflated(found[0]), pdf, flags=re.DOTALL)
    body = re.sub(rb"(?<=\n)\d+(?=\nendobj)", b"", body.rpartition(b"\nxref\n")[0])
    return re.sub(rb"(?<![\w.-])-0(?![\w.])", b"0", body)


def inflated(stream: bytes) -> bytes:
    """The content of a stream, as it is where it is not compressed."""
    try:
        return zlib.decompress(stream)
    except zlib.error:
        return stream


def without(path: Path, columns: Sequence[str]) -> list[list[str]]:
    """The cells of a CSV file, but for the columns whose names fit one of these patterns."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    dropped = {i for i, name in enumerate(rows[0]) if any(fnmatch(name, column) for column in columns)}
    return [[cell for i, cell in enumerate(row) if i not in dropped] for row in rows]


def difference(old: Path, new: Path, columns: Sequence[str] = ()) -> str:
    """How far two tables or arrays lie apart; of other files only that they do."""
    if old.suffix == ".npy":
        return relative_difference(np.load(old), np.load(new))
    if old.suffix != ".csv":
        return f"{old.stat().st_size} and {new.stat().st_size} bytes"
    tables = [without(path, columns) for path in (old, new)]
    shapes = [[len(row) for row in table] for table in tables]
    if shapes[0] != shapes[1]:
        return "other rows or columns"
    pairs = [pair for rows in zip(*tables, strict=True) for pair in zip(*rows, strict=True) if pair[0] != pair[1]]
    numbers = [tuple(map(float, pair)) for pair in pairs if all(map(is_number, pair))]
    text = f", and text: {next(p for p in pairs if not all(map(is_number, p)))}" if len(numbers) < len(pairs) else ""
    return relative_difference(*np.array(numbers).reshape(-1, 2).T) + text


def is_number(cell: str) -> bool:
    """Whether a cell holds a number."""
    try:
        float(cell)
    except ValueError:
        return False
    return True


def relative_difference(old: np.ndarray, new: np.ndarray) -> str:
    """The largest difference of two arrays' numbers, relative to the larger one."""
    if old.shape != new.shape or old.dtype != new.dtype:
        return f"{old.dtype} {list(old.shape)} and {new.dtype} {list(new.shape)}"
    differs = old != new
    old, new = old[differs].astype(np.float64), new[differs].astype(np.float64)
    largest = np.max(np.abs(old - new) / np.maximum(np.abs(old), np.abs(new)), initial=0)
    return f"{differs.sum()} numbers, by up to {largest:.1e}"


def write_data(root: Path) -> None:
    """Small imitations of the data sets in their native layouts, made of scikit-image's photographs."""
    if root.is_dir():
        return
    unfinished = root.with_name(f"{root.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    write_imagenet(unfinished / "imagenet")
    write_tiny_imagenet(unfinished / "tiny-imagenet-200")
    write_egoobjects(unfinished / "egoobjects")
    write_cityscapes(unfinished / "cityscapes")
    write_files(unfinished)
    unfinished.rename(root)


@cache
def photograph(name: str) -> Image.Image:
    """A photograph that comes with scikit-image."""
    return Image.open(Path(skimage.__file__).parent / "data" / name).convert("RGB")


def write_picture(path: Path, number: int, size: tuple[int, int]) -> None:
    """Write region `number` of the photographs, which are taken in turn."""
    rng = np.random.default_rng(number)
    source = photograph(PHOTOGRAPHS[number % len(PHOTOGRAPHS)])
    scale = rng.uniform(0.3, 0.9) * min(np.divide(source.size, size))
    width, height = scale * size[0], scale * size[1]
    left, upper = rng.uniform(size=2) * np.subtract(source.size, (width, height))
    path.parent.mkdir(parents=True, exist_ok=True)
    source.resize(size, box=(left, upper, left + width, upper + height)).save(path)


def write_imagenet(root: Path) -> None:
    """Training and validation images by class, test images flat."""
    for number in range(32):
        split, kind = "train" if number < 8 else "val", CLASSES[number % len(CLASSES)]
        write_picture(root / split / kind / f"{kind}_{number}.JPEG", number, (120, 90))
    for number in range(120):
        write_picture(root / "test" / f"ILSVRC2012_test_{number:08d}.JPEG", 100 + number, (120, 90))


def write_tiny_imagenet(root: Path) -> None:
    """Training images by class, validation images with their table of classes."""
    for number in range(32):
        kind = CLASSES[number % len(CLASSES)]
        write_picture(root / "train" / kind / "images" / f"{kind}_{number}.JPEG", 300 + number, (64, 64))
        write_picture(root / "val" / "images" / f"val_{number}.JPEG", 400 + number, (64, 64))
    lines = [f"val_{number}.JPEG\t{CLASSES[number % len(CLASSES)]}\t0\t0\t62\t62\n" for number in range(32)]
    (root / "val" / "val_annotations.txt").write_text("".join(lines))


def write_egoobjects(root: Path) -> None:
    """122 images of ten scenes, each filmed in four videos; two are not 16:9."""
    images, objects = [], []
    for number in range(122):
        scene, video, frame = number // 12, number // 3 % 4, number % 3
        width, height = (192, 108) if number < 120 else (160, 120)
        url = f"{scene:032X}_{video + 1:02d}_{frame}.jpg"
        record = {"id": number, "url": url, "width": width, "height": height, "subset": "test"}
        images.append(record | {"group_id": f"{scene:032X}", "video_id": f"{video + 1:02d}", "frame_id": frame})
        write_picture(root / "images" / url, 6 * number + scene % len(PHOTOGRAPHS), (width, height))
        for category in {scene % 3, 3 + scene % 4, 7 + number % 2}:
            one = {"id": len(objects), "image_id": number, "category_id": category, "bbox": [0, 0, 9, 9]}
            objects.append(one | {"category_freeform": f"thing {category}", "instance_id": f"{scene} {category}"})
    content = {"images": images, "annotations": objects, "categories": []}
    (root / "EgoObjectsV1_unified_eval.json").write_text(json.dumps(content))


def write_cityscapes(root: Path) -> None:
    """Eight streets to look for among 24, each with four classes in stripes."""
    for number in range(32):
        split, cities = ("val", ("munster", "lindau")) if number < 8 else ("train", ("aachen", "ulm", "zurich"))
        city = cities[number % len(cities)]
        name = f"{city}_{number // 4:06d}_{number:06d}"
        write_picture(root / "leftImg8bit" / split / city / f"{name}_leftImg8bit.png", 1200 + number, (256, 128))
        label_ids = np.random.default_rng(number).integers(0, 34, size=4, dtype=np.uint8)
        labels = root / "gtFine" / split / city / f"{name}_gtFine_labelIds.png"
        labels.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.tile(np.repeat(label_ids, 64), (128, 1))).save(labels)


def write_files(root: Path) -> None:
    """What users bring: representations, labels of a folder of images, and which of them are queries."""
    rng = np.random.default_rng(0)
    x, y, deep = (rng.normal(size=size).astype(np.float32) for size in ((12, 36, 8), (10, 36, 8), (12, 9, 16)))
    np.save(root / "x.npy", x)
    np.save(root / "y.npy", y)
    np.savez(root / "layers.npz", early=x, late=deep)
    paths = sorted((root / "tiny-imagenet-200" / "train").rglob("*.JPEG"))
    images = [path.relative_to(root / "tiny-imagenet-200" / "train").as_posix() for path in paths]
    labels = [f"{image},{image.split('/')[0]},1,\n" for image in images]
    roles = ["query" if number % 4 == 0 else "database" for number in range(len(images))]
    split = [f"{role},{image}\n" for role, image in zip(roles, images, strict=True)]
    (root / "labels.csv").write_text("image,class,count,group\n" + "".join(labels))
    (root / "split.csv").write_text("role,image\n" + "".join(split))


if __name__ == "__main__":
    main()
