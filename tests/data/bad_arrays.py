"""Files of arrays that cannot be read."""

import json
import os
import struct
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import zarr
from safetensors.numpy import save_file

from semrsm_cli.data.arrays import pin_array, read_array
from semrsm_cli.data.layers import read_layers
from tests.data.bad_input import Case, Read, halve, then, write

VALUES = np.arange(60, dtype=np.float32).reshape(3, 4, 5)
HUGE = (36, 2**18, 2**19)  # 36 TiB of float64


def npy(shape: tuple[int, ...]) -> bytes:
    """A .npy file that announces this shape and holds nothing of it."""
    stream = BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "<f8", "fortran_order": False, "shape": shape})
    return stream.getvalue()


def npz(path: Path, **members: bytes) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)


def tensors(kind: str, width: int) -> bytes:
    """A .safetensors file of one tensor of a type that NumPy may lack."""
    header = json.dumps({"x": {"dtype": kind, "shape": [3, 4, 5], "data_offsets": [0, 60 * width]}}).encode()
    return struct.pack("<Q", len(header)) + header + bytes(60 * width)


def saved_zarr(path: Path) -> None:
    zarr.save_array(path, VALUES)


def array_of(name: str, make: Callable[[Path], object]) -> Callable[[Path], Read]:
    def prepare(folder: Path) -> Read:
        make(folder / name)
        return lambda: pin_array(read_array(str(folder / name)))

    return prepare


def layers_of(name: str, make: Callable[[Path], object]) -> Callable[[Path], Read]:
    def prepare(folder: Path) -> Read:
        make(folder / name)
        return lambda: read_layers(str(folder / name))

    return prepare


def fill_zarr_chunk(path: Path) -> None:
    chunk = next(part for part in sorted(path.rglob("c/**/*")) if part.is_file())
    chunk.write_bytes(b"\xff" * chunk.stat().st_size)


def npy_named_npz(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, VALUES)


def npz_named_npy(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, x=VALUES)


ARRAYS: list[Case] = [
    ("empty .npy", array_of("x.npy", write(b"")), r"cannot read .*x\.npy: .*; write it anew"),
    ("truncated .npy", array_of("x.npy", then(lambda path: np.save(path, VALUES), halve)), "cannot read .*x.npy: "),
    ("header of 36 TiB in .npy", array_of("x.npy", write(npy(HUGE))), r"cannot read .*x\.npy: "),
    ("header of 36 TiB in .npz", array_of("x.npz", lambda path: npz(path, x=npy(HUGE))), r"cannot read .*x\.npz: "),
    (
        "header that is nested",
        array_of("x.npy", write(b"\x93NUMPY\1\0" + struct.pack("<H", 900) + b"(" * 900)),
        "cannot",
    ),
    ("objects", array_of("x.npy", lambda path: np.save(path, np.array([[["a"]]], object))), "cannot read .*x.npy: "),
    (
        "texts",
        array_of("x.npy", lambda path: np.save(path, np.array([[["a"]]]))),
        r"must hold numbers \[n, s, c\], got <U1",
    ),
    ("no images", array_of("x.npy", lambda path: np.save(path, VALUES[:0])), r"(holds no numbers|cannot read)"),
    ("no channels", array_of("x.npz", lambda path: np.savez(path, VALUES[..., :0])), r"is \[3, 4, 0\]; each must be"),
    ("no channels in Zarr", array_of("x", lambda path: zarr.save_array(path, VALUES[..., :0])), r"is \[3, 4, 0\]"),
    ("truncated .npz", array_of("x.npz", then(lambda path: np.savez(path, VALUES), halve)), "cannot read .*x.npz: "),
    ("empty .npz", array_of("x.npz", write(b"")), "cannot read .*x.npz: "),
    (".npz without arrays", array_of("x.npz", lambda path: npz(path)), "holds 0 arrays; write it anew"),
    ("member of .npz cut short", array_of("x.npz", lambda path: npz(path, x=npy((3, 4, 5)))), "cannot read .*x.npz: "),
    (".npy named .npz", array_of("x.npz", npy_named_npz), r"x\.np[yz] is a \.npy file by another name; rename it"),
    (".npz named .npy", array_of("x.npy", npz_named_npy), r"x\.np[yz] is a \.npz file by another name; rename it"),
    (
        ".npy named .npz, as layers",
        layers_of("x.npz", npy_named_npz),
        r"x\.np[yz] is a \.npy file by another name; rename it",
    ),
    ("truncated .npz, as layers", layers_of("x.npz", then(lambda path: np.savez(path, VALUES), halve)), "cannot read"),
    (
        "eight bits",
        array_of("x.safetensors", write(tensors("F8_E4M3", 1))),
        "holds F8_E4M3, which NumPy lacks; save it as float32",
    ),
    ("float8", array_of("x.safetensors", write(tensors("F8_E4M3", 1))), "holds F8_E4M3, which NumPy lacks; save it as"),
    (
        "truncated .safetensors",
        array_of("x.safetensors", then(lambda path: save_file({"x": VALUES}, path), halve)),
        "cannot",
    ),
    ("empty .safetensors", array_of("x.safetensors", write(b"")), "cannot read .*x.safetensors: "),
    (
        "zarr.json that is garbage",
        array_of("x", then(saved_zarr, lambda path: (path / "zarr.json").write_bytes(b"{{"))),
        "cannot",
    ),
    (
        "zarr.json of another shape",
        array_of("x", then(saved_zarr, lambda path: (path / "zarr.json").write_bytes(b"[1]"))),
        "cannot",
    ),
    ("damaged chunk", array_of("x", then(saved_zarr, fill_zarr_chunk)), "cannot read .* from image 0 on: "),
    (
        "Zarr of 36 TiB without a chunk",
        array_of("x", lambda path: zarr.create_array(path, shape=HUGE, dtype="f8")),
        "no chunk",
    ),
    ("empty folder", array_of("x", Path.mkdir), "cannot read .*x: "),
    ("pipe", array_of("x.npy", os.mkfifo), "is no array that can be read; give a .npy"),
    ("pipe, as layers", layers_of("x.npz", os.mkfifo), "is no array that can be read; give a .npy"),
    (
        "device",
        array_of("x.npz", lambda path: path.symlink_to("/dev/zero")),
        "is no array that can be read; give a .npy",
    ),
    ("table", array_of("x.csv", write(b"1,2")), "is no array that can be read; give a .npy"),
    ("name too long", lambda folder: lambda: read_array(f"{folder}/{'x' * 300}.npy"), "cannot read .*: .*too long"),
    ("home of nobody", lambda folder: lambda: read_array("~no such user/x.npy"), "cannot read ~no such user/x.npy: "),
]
