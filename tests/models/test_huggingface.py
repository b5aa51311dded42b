"""Each family is loaded from a tiny local checkpoint by the code that loads the real one."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from semrsm_cli.errors import SemrsmError
from semrsm_cli.models import Network, capture, load, resolve_layers

Checkpoint = Callable[[str], Path]
PATCHES = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 64,
    "patch_size": 16,
}
CLASSIFIERS = ["vit", "vit_large", "resnet", "resnet_bottleneck", "convnextv2", "bit", "dinov2_classifier"]


def read(network: Network, batch: torch.Tensor, readout: str) -> np.ndarray:
    (layer,) = resolve_layers(network, ["last"], readout)
    return capture(network, batch, [layer], cls_token="keep").representations[layer]


def as_vectors(state: torch.Tensor, *, channels_last: bool = False) -> np.ndarray:
    """A model's own hidden state as concept vectors, by plain indexing."""
    if state.ndim == 4:
        state = state.flatten(1, 2) if channels_last else state.flatten(2).transpose(1, 2)
    return state.numpy()


@torch.no_grad()
def own_outputs(model: Any, batch: torch.Tensor, **arguments: Any) -> Any:
    return model.eval()(pixel_values=batch, output_hidden_states=True, **arguments)


def laid_out(network: Network, what: Any) -> Any:
    """A batch or a model in memory as `capture` has it, on which the last digits of convolutions depend."""
    return what.to(memory_format=torch.channels_last) if network.is_cnn else what


@pytest.mark.parametrize("kind", CLASSIFIERS)
def test_classifiers_give_their_own_states_and_logits(kind: str, checkpoint: Checkpoint, image: Image.Image) -> None:
    from transformers import AutoModelForImageClassification

    folder = checkpoint(kind)
    network = load("huggingface", str(folder))
    batch = network.preprocess(image)[None]
    model = AutoModelForImageClassification.from_pretrained(folder)
    batch, model = laid_out(network, batch), laid_out(network, model)
    own = own_outputs(model, batch)
    captured = capture(network, batch, [network.last("after_norm")], cls_token="drop")
    np.testing.assert_array_equal(captured.logits, own.logits.numpy())
    np.testing.assert_array_equal(
        read(network, batch, "after_norm"), as_vectors(own_outputs(model.base_model, batch).last_hidden_state)
    )
    np.testing.assert_array_equal(read(network, batch, "before_norm"), as_vectors(own.hidden_states[-1]))
    assert network.n_classes == 7


@pytest.mark.parametrize("kind", ["clip", "dinov2"])
def test_feature_extractors_give_their_own_states(kind: str, checkpoint: Checkpoint, image: Image.Image) -> None:
    from transformers import CLIPVisionModel, Dinov2Model

    folder = checkpoint(kind)
    network = load("huggingface", str(folder))
    batch = network.preprocess(image)[None]
    own = own_outputs({"clip": CLIPVisionModel, "dinov2": Dinov2Model}[kind].from_pretrained(folder), batch)
    np.testing.assert_array_equal(read(network, batch, "after_norm"), own.last_hidden_state.numpy())
    np.testing.assert_array_equal(read(network, batch, "before_norm"), own.hidden_states[-1].numpy())
    assert network.n_classes is None
    assert capture(network, batch, [network.blocks[0]], cls_token="drop").logits is None


FAMILIES: dict[str, tuple[dict[str, Any], int]] = {  # config, prefix tokens
    "deit": (PATCHES, 2),
    "dinov2_with_registers": (PATCHES, 5),
    "beit": (PATCHES, 1),
    "siglip_vision_model": (PATCHES, 0),
    "swin": ({"embed_dim": 16, "depths": [1, 1], "num_heads": [1, 2], "image_size": 64, "window_size": 4}, 0),
    "convnext": ({"hidden_sizes": [8, 16, 24, 32], "depths": [1] * 4, "image_size": 64}, 0),
    "regnet": ({"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1] * 2, "groups_width": 8}, 0),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_the_last_hidden_state_of_other_families_is_found(family: str) -> None:
    import transformers

    from semrsm_cli.models.from_huggingface import _wrap_model

    settings, prefix = FAMILIES[family]
    torch.manual_seed(0)
    model = transformers.AutoModel.from_config(transformers.AutoConfig.for_model(family, **settings)).eval()
    network = _wrap_model(family, model, transformers.ViTImageProcessorPil())
    batch, model = laid_out(network, torch.randn(2, 3, 64, 64)), laid_out(network, model)
    with torch.no_grad():
        own = model(pixel_values=batch).last_hidden_state
    np.testing.assert_array_equal(read(network, batch, "after_norm"), as_vectors(own))
    assert network.prefix_tokens == prefix
    layer = network.last("after_norm")
    assert capture(network, batch, [layer], cls_token="drop").grids[layer] is not None


def test_sam_gives_its_image_embedding_and_its_trunk(checkpoint: Checkpoint, image: Image.Image) -> None:
    from transformers import SamModel

    folder = checkpoint("sam")
    network = load("huggingface", str(folder))
    batch = network.preprocess(image)[None]
    model = SamModel.from_pretrained(folder).eval()
    with torch.no_grad():
        embedding = model.get_image_embeddings(batch)
        trunk = model.vision_encoder(batch, output_hidden_states=True).hidden_states[-1]
    assert trunk.shape == (1, 64, 64, 16)
    np.testing.assert_array_equal(read(network, batch, "after_norm"), as_vectors(embedding))
    np.testing.assert_array_equal(read(network, batch, "before_norm"), as_vectors(trunk, channels_last=True))


def test_clipseg_trunk_is_really_loaded(checkpoint: Checkpoint, image: Image.Image) -> None:
    from transformers import CLIPSegModel

    folder = checkpoint("clipseg")
    network = load("huggingface", str(folder))
    batch = network.preprocess(image)[None]
    own = own_outputs(CLIPSegModel.from_pretrained(folder).vision_model, batch, interpolate_pos_encoding=True)
    np.testing.assert_array_equal(read(network, batch, "after_norm"), own.last_hidden_state.numpy())
    stored = load_file(folder / "model.safetensors")
    name = next(name for name in stored if name.endswith("vision_model.encoder.layers.0.mlp.fc1.weight"))
    loaded = network.module.get_submodule("clip.vision_model.encoder.layers.0.mlp.fc1").weight
    assert torch.equal(stored[name], loaded)


def test_clipseg_decoder_sees_no_prompt(checkpoint: Checkpoint, image: Image.Image) -> None:
    from transformers import CLIPSegForImageSegmentation

    folder = checkpoint("clipseg")
    network = load("huggingface", str(folder))
    batch = network.preprocess(image)[None]
    model = CLIPSegForImageSegmentation.from_pretrained(folder)
    own = own_outputs(model, batch, conditional_embeddings=torch.zeros(1, 16))
    np.testing.assert_array_equal(read(network, batch, "decoder"), own.decoder_output.hidden_states[-1].numpy())


def test_preprocessing_is_the_checkpoints_own_on_any_image(checkpoint: Checkpoint, image: Image.Image) -> None:
    from transformers import AutoImageProcessor

    folder = checkpoint("vit")
    network = load("huggingface", str(folder))
    processor = AutoImageProcessor.from_pretrained(folder, backend="pil")
    for mode in ("L", "RGBA", "CMYK"):
        other = image.convert(mode)
        own = processor(images=other.convert("RGB"), return_tensors="pt")["pixel_values"][0]
        assert torch.equal(network.preprocess(other), own)
    same_size = image.resize((224, 224))
    torch.testing.assert_close(network.normalise(same_size), network.preprocess(same_size), atol=1e-6, rtol=0)


def test_half_precision_checkpoints_become_float32(checkpoint: Checkpoint, tmp_path: Path) -> None:
    folder = copied(checkpoint("vit"), tmp_path)
    state = load_file(folder / "model.safetensors")
    save_file({k: v.half() for k, v in state.items()}, folder / "model.safetensors", metadata={"format": "pt"})
    module = load("huggingface", str(folder)).module
    assert {parameter.dtype for parameter in module.parameters()} == {torch.float32}


def test_missing_weights_are_refused_by_name_and_number(checkpoint: Checkpoint, tmp_path: Path) -> None:
    folder = copied(checkpoint("clipseg"), tmp_path)
    state = load_file(folder / "model.safetensors")
    left = {k: v for k, v in state.items() if "vision_model.encoder" not in k}
    save_file(left, folder / "model.safetensors", metadata={"format": "pt"})
    n_lost = len(state) - len(left)
    with pytest.raises(SemrsmError, match=rf"lack {n_lost} of the tensors .* clip\.vision_model\.encoder\.layers\.0"):
        load("huggingface", str(folder))


def test_weights_of_another_shape_are_refused(checkpoint: Checkpoint) -> None:
    with pytest.raises(SemrsmError, match=r"weights have another shape .* the first is .*: \[64"):
        load("huggingface", str(checkpoint("vit")), options={"intermediate_size": 48})


def test_a_missing_pooler_is_no_loss(tmp_path: Path, checkpoint: Checkpoint) -> None:
    folder = copied(checkpoint("vit"), tmp_path)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"architectures": ["ViTModel"]}))
    module = load("huggingface", str(folder)).module
    assert type(module).__name__ == "ViTModel"


@pytest.mark.parametrize(("kind", "token"), [("vit", "pooler"), ("dinov2", "mask_token")])
def test_what_no_representation_reads_may_be_missing_and_has_one_hash(
    kind: str, token: str, tmp_path: Path, checkpoint: Checkpoint
) -> None:
    folder = copied(checkpoint(kind), tmp_path)
    if kind == "vit":
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | {"architectures": ["ViTModel"]}))
    state = load_file(folder / "model.safetensors")
    left = {name: tensor for name, tensor in state.items() if token not in name}
    save_file(left, folder / "model.safetensors", metadata={"format": "pt"})
    hashes = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        hashes.append(load("huggingface", str(folder)).identity["weights"])
    assert hashes[0] == hashes[1]


def test_a_folder_without_preprocessing_says_what_to_copy(tmp_path: Path, checkpoint: Checkpoint) -> None:
    folder = copied(checkpoint("vit"), tmp_path)
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(SemrsmError, match=r"holds no preprocessor_config\.json, which says how .*; copy that of the"):
        load("huggingface", str(folder))


def test_options_cut_the_depth_of_a_real_checkpoint(checkpoint: Checkpoint, image: Image.Image) -> None:
    whole = load("huggingface", str(checkpoint("clip")))
    cut = load("huggingface", str(checkpoint("clip")), options={"num_hidden_layers": 1})
    batch = whole.preprocess(image)[None]
    layer = whole.blocks[0]
    assert cut.blocks == (layer,)
    np.testing.assert_array_equal(
        capture(cut, batch, [layer], cls_token="keep").representations[layer],
        capture(whole, batch, [layer], cls_token="keep").representations[layer],
    )


def test_errors_are_one_line_that_says_what_to_do(
    checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, subtests: pytest.Subtests
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, options, complaint in (
        ("./nowhere", {}, "no folder ./nowhere"),
        (".", {}, "no config.json"),
        ("nobody/not-there", {}, "run `hf download nobody/not-there` .* HF_HOME at it$"),
        ("vit", {"num_hiden_layers": 2}, "no option 'num_hiden_layers', choose from num_hidden_layers"),
        ("vit", {"num_hidden_layers": "two"}, "takes no model.options.num_hidden_layers='two'"),
    ):
        with subtests.test(complaint):
            with pytest.raises(SemrsmError, match=complaint) as caught:
                load("huggingface", str(checkpoint(name)) if name == "vit" else name, options=options)
            assert "\n" not in str(caught.value)


def test_broken_and_absent_weights_files_are_named(checkpoint: Checkpoint, tmp_path: Path) -> None:
    folder = copied(checkpoint("vit"), tmp_path)
    (folder / "model.safetensors").write_bytes(b"no tensors")
    with pytest.raises(SemrsmError, match="cannot load"):
        load("huggingface", str(folder))
    (folder / "model.safetensors").unlink()
    with pytest.raises(SemrsmError, match=r"no file named model\.safetensors"):
        load("huggingface", str(folder))


def test_code_in_a_folder_is_never_run(
    checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, subtests: pytest.Subtests
) -> None:
    """Whoever is asked says yes; a class that transformers has itself is read by its own code."""
    monkeypatch.setattr("builtins.input", lambda _: "y")
    code = "open({!r}, 'w')\nclass Config: pass\nclass Processor: pass\nclass Model: pass\n"
    own_processor = {"auto_map": {"AutoImageProcessor": "own.Processor"}, "image_processor_type": None}
    own_config = {"auto_map": {"AutoConfig": "own.Config", "AutoModel": "own.Model"}}
    for case, file, change, is_refused in (
        ("unknown processor", "preprocessor_config.json", own_processor | {"image_processor_type": "Own"}, True),
        ("unknown model", "config.json", own_config | {"model_type": "own"}, True),
        ("processor by the model's type", "preprocessor_config.json", own_processor, False),
        ("known model", "config.json", own_config, False),
    ):
        with subtests.test(case):
            folder, ran = tmp_path / case, tmp_path / f"{case} ran"
            folder.mkdir()
            copied(checkpoint("vit"), folder)
            (folder / file).write_text(json.dumps(json.loads((folder / file).read_text()) | change))
            (folder / "own.py").write_text(code.format(str(ran)))
            if is_refused:
                with pytest.raises(SemrsmError, match="code of its own alone, which is never run; choose") as caught:
                    load("huggingface", str(folder))
                assert "\n" not in str(caught.value)
            else:
                load("huggingface", str(folder))
            assert not ran.exists()


def test_text_models_are_refused(tmp_path: Path) -> None:
    from transformers import BertConfig, BertModel, CLIPImageProcessor

    sizes = {"vocab_size": 9, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    BertModel(BertConfig(**sizes, intermediate_size=8)).save_pretrained(tmp_path)
    CLIPImageProcessor().save_pretrained(tmp_path)
    with pytest.raises(SemrsmError, match="is a bert model, which takes no images"):
        load("huggingface", str(tmp_path))


def test_weights_may_be_a_file(checkpoint: Checkpoint) -> None:
    folder = checkpoint("vit")
    from_file = load("huggingface", str(folder), weights=str(file_with_own_names(folder)))
    assert from_file.identity["weights"] == load("huggingface", str(folder)).identity["weights"]


def test_transformers_says_as_much_as_before(checkpoint: Checkpoint, capfd: pytest.CaptureFixture[str]) -> None:
    from transformers.utils import logging

    before = logging.get_verbosity(), logging.is_progress_bar_enabled()
    load("huggingface", str(checkpoint("clip")))
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before
    printed = capfd.readouterr()
    assert printed.out == printed.err == ""


def copied(folder: Path, to: Path) -> Path:
    for path in folder.iterdir():
        (to / path.name).write_bytes(path.read_bytes())
    return to


def file_with_own_names(folder: Path) -> Path:
    """The state dict under the module's names; a checkpoint keeps the names of older versions."""
    path = folder.parent / f"{folder.name}.safetensors"
    save_file(load("huggingface", str(folder)).module.state_dict(), path)
    return path
