"""The table of published weights agrees with the presets, whatever is added to either."""

from hypothesis import given
from hypothesis import strategies as st

from semrsm_cli.config.presets import presets
from semrsm_cli.models.published import PUBLISHED, files_of_weights


def test_every_preset_has_its_size_and_licence_and_is_called_by_its_name() -> None:
    assert {preset.name for preset in presets().values()} == set(PUBLISHED)
    for name, published in PUBLISHED.items():
        assert presets()[published.preset].name == name


def test_of_several_formats_the_safest_is_fetched_with_its_settings() -> None:
    names = ["config.json", "preprocessor_config.json", "pytorch_model.bin", "tf_model.h5", "README.md", "onnx/a.json"]
    settings = names[:2]
    assert files_of_weights(names) == [*settings, "pytorch_model.bin"]
    assert files_of_weights([*names, "model.safetensors"]) == [*settings, "model.safetensors"]
    shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json"]
    assert set(files_of_weights([*names, *shards])) == {*settings, *shards}
    assert files_of_weights(["config.json"]) == []


@given(st.permutations(["config.json", "model.safetensors", "pytorch_model.bin", "vocab.txt"]))
def test_the_order_of_files_does_not_matter(names: list[str]) -> None:
    assert set(files_of_weights(names)) == {"config.json", "model.safetensors"}
