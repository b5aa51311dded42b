"""State dicts: no pickle, nothing missing, one hash."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from semrsm_cli.errors import SemrsmError
from semrsm_cli.models.weights import load_weights, read_state_dict, weights_hash


def network() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))


def test_files_of_each_kind_hold_the_same(tmp_path: Path) -> None:
    state = network().state_dict()
    save_file(state, tmp_path / "a.safetensors")
    torch.save(state, tmp_path / "a.pt")
    torch.save(
        {"epoch": 3, "state_dict": {f"module.{name}": value for name, value in state.items()}}, tmp_path / "b.pt"
    )
    for name in ("a.safetensors", "a.pt", "b.pt"):
        read = read_state_dict(str(tmp_path / name))
        assert list(read) == list(state) or name.endswith("safetensors")
        assert all(torch.equal(read[key], state[key]) for key in state)


class Harmful:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path.mkdir, (Path("harm"),))  # type: ignore[return-value]


def test_nothing_but_tensors_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"weight": torch.ones(1), "extra": Harmful()}, "harmful.pt")
    with pytest.raises(SemrsmError, match=r"no file of tensors alone, .* save model\.state_dict\(\)"):
        read_state_dict("harmful.pt")
    assert not Path("harm").exists()


def test_broken_files_are_named(tmp_path: Path, subtests: pytest.Subtests) -> None:
    for name, content, complaint in (
        ("a.pt", b"", "cut short or not from torch.save"),
        ("a.pt", b"PK and so on", "cut short or not from torch.save"),
        ("a.pt", b"\x80\x02and so on", "cannot read the weights"),
        ("a.safetensors", b"text", "cannot read the weights"),
        ("a.pt", b"text", "cut short or not from torch.save"),
    ):
        (tmp_path / name).write_bytes(content)
        with subtests.test(name=name, content=content), pytest.raises(SemrsmError, match=complaint):
            read_state_dict(str(tmp_path / name))


def test_absent_files_and_files_without_a_state_dict_are_named(tmp_path: Path) -> None:
    with pytest.raises(SemrsmError, match="no weights file"):
        read_state_dict(str(tmp_path / "absent.pt"))
    torch.save([torch.ones(1)], tmp_path / "list.pt")
    with pytest.raises(SemrsmError, match="holds no state dict"):
        read_state_dict(str(tmp_path / "list.pt"))


def test_missing_extra_and_misshapen_weights_are_refused() -> None:
    state = network().state_dict()
    with pytest.raises(SemrsmError, match=r"lack 2 of the tensors of toy, the first is 0\.bias"):
        load_weights(network(), {k: v for k, v in state.items() if not k.startswith("0.")}, label="toy")
    with pytest.raises(SemrsmError, match=r"1 weights have another shape than in toy, the first is 0\.bias: \[5\]"):
        load_weights(network(), state | {"0.bias": torch.ones(5)}, label="toy")
    with pytest.raises(SemrsmError, match=r"1 tensors that toy has no place for, the first is 2\.weight"):
        load_weights(network(), state | {"2.weight": torch.ones(5)}, label="toy")
    load_weights(network(), state | {"2.weight": torch.ones(5)}, label="toy", allow_extra=True)


def test_weights_are_kept_in_float32() -> None:
    state = {k: v.half() if v.is_floating_point() else v for k, v in network().state_dict().items()}
    module = network()
    load_weights(module, state, label="toy")
    assert {p.dtype for p in module.parameters()} == {torch.float32}
    assert torch.equal(module[0].weight, state["0.weight"].float())  # type: ignore[index]


def test_the_hash_sees_every_value_name_and_shape() -> None:
    same, other = network(), network()
    assert weights_hash(network()) == weights_hash(same)
    with torch.no_grad():
        other[0].weight[3, 2, 2, 2] += 1e-6  # type: ignore[index]
    flat = nn.Module()
    flat.register_buffer("a", torch.zeros(2, 3))
    tall, renamed = nn.Module(), nn.Module()
    tall.register_buffer("a", torch.zeros(3, 2))
    renamed.register_buffer("b", torch.zeros(2, 3))
    hashes = [weights_hash(module) for module in (same, other, flat, tall, renamed)]
    assert len(set(hashes)) == 5
