"""`semrsm cka` on the embedded default, on several networks, and on the user's own arrays."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import semrsm_cli as semrsm_library
from semrsm_cli.store.representations import open_stored
from tests.command import Command, refuse, succeed

QUICK = ("size=32", "dataset.regions=1", "n_images=null", "model.layers=[blocks.1,blocks.2,blocks.6]")
NULL = ["null_mean", "null_95", "calibrated", "p_value"]
CLASSES = ["class_cka", "class_null_mean", "class_null_95", "class_calibrated", "class_p_value"]
NUMBERS = ["cka", "biased", "unbiased", "std", "n_draws", *NULL, *CLASSES]
COLUMNS = [
    *("model_a", "layer_a", "model_b", "layer_b"),
    *("kernel", "invariance_a", "invariance_b", "estimator"),
    *NUMBERS,
    *("locality", "centering", "size", "dataset"),
]


def table(folder: str | Path, name: str = "cka") -> pd.DataFrame:
    return pd.read_csv(Path(folder) / "tables" / f"{name}.csv")


def matrix(rows: pd.DataFrame, kernel: str, left: str, right: str) -> np.ndarray:
    chosen = rows.query("kernel == @kernel and invariance_a == @left and invariance_b == @right")
    layers = list(dict.fromkeys(chosen["layer_a"])), list(dict.fromkeys(chosen["layer_b"]))
    return chosen.pivot(index="layer_a", columns="layer_b", values="cka").loc[layers].to_numpy()


def test_baselines_stand_beside_both_and_change_nothing_of_them(semrsm: Command, x: np.ndarray) -> None:
    np.savez("a.npz", early=x, late=x[::-1])
    settings = ("cka", "x=a.npz", "kernels=[linear]")
    succeed(semrsm(*settings, "hydra.run.dir=two"))
    succeed(semrsm(*settings, "invariances=[maxsim,permutation,pooled,none]", "hydra.run.dir=four"))
    every = table("four", "consistency")
    assert list(every["invariance"].unique()) == ["permutation", "pooled", "maxsim"]
    assert every.query("invariance != 'permutation'")["displacement"].isna().all()
    for name, of in (("cka", "invariance_a"), ("consistency", "invariance")):
        two, four = table("two", name), table("four", name)
        same = four[four[of].isin(["none", "permutation"])].reset_index(drop=True)
        pd.testing.assert_frame_equal(same, two, check_dtype=False)
    for name in ("maxsim", "pooled"):
        rsm = [
            semrsm_library.rsm(np.load("a.npz")[layer], invariance=name, kernel="linear") for layer in ("early", "late")
        ]
        expected = semrsm_library.cka(*rsm)
        np.testing.assert_allclose(matrix(table("four"), "linear", name, name)[0, 1], expected, rtol=1e-4)
    refuse(
        semrsm, "cka", "x=a.npz", "invariances=[maxsim]", complaint="cka compares none with permutation", exit_code=2
    )


@pytest.fixture
def x(rng: np.random.Generator) -> np.ndarray:
    return rng.normal(size=(12, 6, 4)).astype(np.float32)


@pytest.mark.slow
def test_default_rises_from_early_to_late_layers(semrsm: Command) -> None:
    result = succeed(semrsm("cka", "hydra.run.dir=run"))
    rows = table("run")
    assert list(rows) == COLUMNS
    assert len(rows) == 2 * 3 * 7 * 7
    diagonal = matrix(rows, "linear", "permutation", "none").diagonal()
    assert diagonal[-1] > 0.99
    assert (np.diff(diagonal[[1, 2, 3, 5, 6]]) > 0).all(), diagonal
    assert diagonal[:3].max() < diagonal[-3:].min(), diagonal
    assert max(map(len, result.stdout.splitlines())) <= 80


@pytest.mark.drawn
def test_within_a_network(semrsm: Command) -> None:
    succeed(semrsm("cka", *QUICK, "hydra.run.dir=run"))
    rows = table("run")
    for invariance in ("none", "permutation"):
        within = matrix(rows, "linear", invariance, invariance)
        np.testing.assert_allclose(within.diagonal(), 1)
        np.testing.assert_allclose(within, within.T)
    both = matrix(rows, "linear", "permutation", "none")
    assert (both.diagonal() < 1 - 1e-6)[:2].all()
    assert both[-1, -1] == pytest.approx(1)  # a single position leaves nothing to match
    assert set(rows["estimator"]) == {"biased, 1 x 12 images"}
    gist = table("run", "consistency")
    np.testing.assert_allclose(gist.query("kernel == 'linear'")["cka"], both.diagonal())
    for figure in ("cka_linear", "cka_rbf", "consistency"):
        assert Path(f"run/figures/{figure}.png").stat().st_size > 10_000
    assert "network EfficientNet-Lite0" in json.loads(Path("run/run.json").read_text())


def test_own_arrays_with_other_positions_and_channels(semrsm: Command, x: np.ndarray) -> None:
    rng = np.random.default_rng(1)
    y = rng.normal(size=(12, 3, 5)).astype(np.float32)
    np.savez("a.npz", early=x, late=x[:, :2])
    np.save("b.npy", y)
    succeed(semrsm("cka", "x=a.npz", "y=b.npy", "centering=none", "kernels=linear", "hydra.run.dir=run"))
    rows = table("run")
    assert sorted(set(rows["layer_a"])) == ["early", "late"]
    for invariance in ("none", "permutation"):
        rsms = [
            semrsm_library.rsm(part, kernel="linear", invariance=invariance, centering="none")
            for part in (x, x[:, :2], y)
        ]
        expected = [[semrsm_library.cka(rsm, rsms[2])] for rsm in rsms[:2]]
        np.testing.assert_allclose(matrix(rows, "linear", invariance, invariance), expected, rtol=1e-4)
    assert set(table("run", "closest")["layer_b"]) == {"b"}


def test_mini_batches_are_summed_before_the_ratio(semrsm: Command, x: np.ndarray) -> None:
    from semrsm_cli.measures.cka import minibatch_cka

    np.save("a.npy", x)
    np.save("b.npy", x[:, :3] ** 2)
    arguments = ("x=a.npy", "y=b.npy", "kernels=[linear]", "estimator=unbiased", "batch_images=6", "image_order=files")
    succeed(semrsm("cka", *arguments, "hydra.run.dir=run"))
    centered = [part - part.mean(axis=0) for part in (x, x[:, :3] ** 2)]
    rsms = [
        [
            semrsm_library.rsm(part[start : start + 6], kernel="linear", invariance="none", centering="none")
            for part in centered
        ]
        for start in (0, 6)
    ]
    rows = table("run")
    assert matrix(rows, "linear", "none", "none").item() == pytest.approx(minibatch_cka(rsms), abs=1e-5)
    assert set(rows["estimator"]) == {"unbiased, 2 x 6 images"}


def numbers(folder: str, *columns: str) -> np.ndarray:
    return table(folder)[list(columns)].to_numpy(float)


def test_mini_batches_hold_random_images_that_both_networks_share(semrsm: Command, x: np.ndarray) -> None:
    from semrsm_cli.measures.cka import minibatch_cka

    np.save("a.npy", x)
    np.save("b.npy", x[:, :3] ** 2)
    files = ("x=a.npy", "y=b.npy", "centering=none", "kernels=[linear]", "batch_images=6", "n_draws=1")
    succeed(semrsm("cka", *files, "seed=3", "hydra.run.dir=run"))
    row = table("run").query("invariance_a == 'none'").iloc[0]
    halves = np.split(np.random.default_rng([3, 0]).permutation(12), 2)
    rsms = [
        [
            semrsm_library.rsm(part[half], kernel="linear", invariance="none", centering="none")
            for part in (x, x[:, :3] ** 2)
        ]
        for half in halves
    ]
    for unbiased, name in enumerate(("biased", "unbiased")):
        assert row[name] == pytest.approx(minibatch_cka(rsms, unbiased=bool(unbiased)), abs=1e-5)
    assert row["cka"] == row["biased"]
    assert row["n_draws"] == 1
    assert np.isnan(row["std"])


def test_the_order_of_the_files_changes_nothing_where_ids_tell_the_images(semrsm: Command, x: np.ndarray) -> None:
    ids = np.array([f"image {i}" for i in range(12)])
    order = np.random.default_rng(1).permutation(12)
    np.savez("a.npz", layer=x, ids=ids)
    np.savez("b.npz", layer=x[order], ids=ids[order])
    for name in ("a", "b"):
        succeed(semrsm("cka", f"x={name}.npz", "batch_images=4", "n_draws=3", f"hydra.run.dir={name}"))
    columns = ("cka", "biased", "unbiased", "std", "null_mean", "null_95", "calibrated", "p_value")
    first, second = (numbers(name, *columns) for name in ("a", "b"))
    np.testing.assert_allclose(first, second, atol=1e-4)
    succeed(semrsm("cka", "x=a.npz", "batch_images=4", "n_draws=3", "seed=1", "hydra.run.dir=seed"))
    assert np.abs(numbers("seed", "cka") - numbers("a", "cka")).max() > 1e-3


def test_draws_are_of_other_images_and_their_spread_is_told(semrsm: Command) -> None:
    quick = ("cka", "size=32", "dataset.regions=1", "model.layers=[blocks.1,blocks.2]", "n_images=6")
    for n_draws in (1, 2):
        succeed(semrsm(*quick, f"n_draws={n_draws}", "estimator=unbiased", f"hydra.run.dir={n_draws}"))
    one, two = table("1"), table("2")
    facts = json.loads(Path("2/run.json").read_text())
    assert (facts["n_images"], facts["n_images_of_draws"], facts["draws_of"]) == (6, 12, "images")
    assert len(set(facts["image_ids_hash_of_draws"])) == 2
    assert facts["image_ids_hash_of_draws"][0] == json.loads(Path("1/run.json").read_text())["image_ids_hash"]
    second = 2 * two["cka"] - one["cka"]  # their mean is told, and the first draw is that of one draw
    np.testing.assert_allclose(two["std"], np.abs(second - one["cka"]) / np.sqrt(2), atol=1e-9)
    assert two["std"].max() > 1e-3
    assert set(two["n_draws"]) == {2}
    np.testing.assert_array_equal(two["cka"], two["unbiased"])
    gist = table("2", "consistency")
    assert list(gist)[10:14] == ["biased", "unbiased", "std", "n_draws"]
    assert list(gist)[-6:] == ["locality", "displacement", "matched_share", "centering", "size", "dataset"]
    assert set(gist["dataset"]) == {"photos"}
    own = two.query("invariance_a == 'permutation' and invariance_b == 'none' and layer_a == layer_b")
    for column in ("cka", "biased", "unbiased", "std"):
        np.testing.assert_allclose(gist[column], own[column])


def test_draws_that_could_not_differ_are_one(semrsm: Command, x: np.ndarray) -> None:
    np.save("a.npy", x)
    for run, settings in {"one": [], "in order": ["batch_images=6", "image_order=files"]}.items():
        succeed(semrsm("cka", "x=a.npy", "n_draws=3", *settings, f"hydra.run.dir={run}"))
        assert json.loads(Path(run, "run.json").read_text())["n_draws"] == 1
        assert set(table(run)["n_draws"]) == {1}
        assert table(run)["std"].isna().all()


def test_the_other_estimator_is_left_out_where_there_are_too_few_images(semrsm: Command, x: np.ndarray) -> None:
    np.save("a.npy", x[:3])
    succeed(semrsm("cka", "x=a.npy", "hydra.run.dir=run"))
    rows = table("run")
    assert rows["unbiased"].isna().all()
    np.testing.assert_array_equal(rows["cka"], rows["biased"])


@pytest.mark.slow
def test_mini_batches_of_sorted_images_give_what_those_of_shuffled_ones_give(semrsm: Command) -> None:
    """8 mini-batches of scenes, whose files stand by scene; in their order CKA was up to 0.05 lower."""
    succeed(semrsm("extract", "dataset=scenes", "model.layers=[blocks.4,blocks.6]", "hydra.run.dir=extract"))
    keys = table("extract", "representations")["key"]
    stored = [np.asarray(open_stored(key)[1]) for key in keys]
    order = np.random.default_rng(0).permutation(len(stored[0]))
    for name, layers in (("sorted", stored), ("shuffled", [layer[order] for layer in stored])):
        np.savez(f"{name}.npz", early=layers[0][:, ::4], late=layers[1])
    settings = ("kernels=[linear]", "batch_images=24", "n_draws=8")
    succeed(semrsm("cka", "x=sorted.npz", *settings, "hydra.run.dir=sorted"))
    succeed(semrsm("cka", "x=shuffled.npz", *settings, "hydra.run.dir=shuffled"))
    succeed(semrsm("cka", "x=sorted.npz", *settings, "image_order=files", "hydra.run.dir=files"))
    assert set(table("sorted")["estimator"]) == {"biased, 8 x 24 images"}
    by_scene, at_random, in_order = (numbers(run, "cka") for run in ("sorted", "shuffled", "files"))
    np.testing.assert_allclose(by_scene, at_random, atol=0.005)
    assert np.abs(in_order - at_random).max() > 0.01


def test_every_two_of_several_networks_and_their_mean(semrsm: Command) -> None:
    arguments = ("model=timm", "model.name=resnet10t", "model_names=resnet14t", "model.layers=[layer1,layer4]")
    common = ("model.weights=random", "size=32", "n_images=12", "kernels=[linear]")
    succeed(semrsm("cka", *arguments, *common, "hydra.run.dir=within"))
    rows = table("within")
    assert list(dict.fromkeys(rows["model_a"])) == ["resnet10t", "resnet14t"]
    assert (rows["model_a"] == rows["model_b"]).all()
    means = table("within", "cka_mean")
    assert len(means) == 3 * 2 * 2
    assert (means["count"] == 2).all()
    of_networks = [of_network["cka"].to_numpy() for _, of_network in rows.groupby("model_a")]
    np.testing.assert_allclose(means["mean"], np.mean(of_networks, axis=0))
    succeed(semrsm("cka", *arguments, *common, "between_networks=true", "hydra.run.dir=across"))
    rows = table("across")
    assert rows[["model_a", "model_b"]].drop_duplicates().to_numpy().tolist() == [["resnet10t", "resnet14t"]]
    assert set(rows["invariance_a"]) == {"none", "permutation"}
    assert (rows["invariance_a"] == rows["invariance_b"]).all()
    assert not Path("across/figures/consistency.png").exists()


def test_second_network_of_another_family(semrsm: Command) -> None:
    other = ("model@model_b=timm", "model_b.name=test_resnet", "model_b.weights=random", "model_b.layers=[all]")
    succeed(semrsm("cka", *QUICK, *other, "hydra.run.dir=run", "kernels=[linear]"))
    rows = table("run")
    assert set(rows["model_a"]) == {"EfficientNet-Lite0"}
    assert rows["layer_b"].nunique() > rows["layer_a"].nunique()


def test_stored_representations_by_their_keys(semrsm: Command) -> None:
    for seed in (0, 1):
        arguments = ("model.layers=[blocks.5,blocks.6]", "n_images=6", f"seed={seed}", f"hydra.run.dir=extract{seed}")
        succeed(semrsm("extract", *arguments))
    first, second = (table(f"extract{seed}", "representations") for seed in (0, 1))
    succeed(semrsm("cka", f"x=[{','.join(first['key'])}]", "hydra.run.dir=run"))
    assert list(dict.fromkeys(table("run")["layer_a"])) == ["blocks.5", "blocks.6"]
    refuse(semrsm, "cka", f"x={first['key'][0]}", f"y={second['key'][0]}", complaint="in x, but ", exit_code=1)


# What CKA is by chance


@pytest.fixture
def classified(rng: np.random.Generator) -> np.ndarray:
    """Ids of 24 images of three classes, and files of two networks that know these, and of one that knows nothing."""
    labels = np.repeat(np.arange(3), 8)
    ids = np.array([f"{['cow', 'dog', 'cat'][label]}/{i:02d}.png" for i, label in enumerate(labels)])
    known = rng.normal(size=(3, 4, 20))[labels]
    for name, share in (("a", 2), ("b", 2), ("c", 0)):
        np.savez(f"{name}.npz", layer=share * known + rng.normal(size=(24, 4, 20)), ids=ids)
    return ids


def test_cka_stands_beside_its_null_and_within_classes(semrsm: Command, classified: np.ndarray) -> None:
    from semrsm_cli.measures.nulls import compare_with_null, permute_cka, permute_class_cka

    common = ("kernels=[linear]", "classes=folders", "centering=none")
    for y in "bc":
        succeed(semrsm("cka", "x=a.npz", f"y={y}.npz", *common, f"hydra.run.dir={y}"))
    row, chance = (table(y).query("invariance_a == 'none'").iloc[0] for y in "bc")
    order = np.argsort(classified)
    features = [np.load(f"{name}.npz")["layer"].reshape(24, -1).astype(np.float32)[order] for name in "ab"]
    batches = [tuple((x @ x.T)[None] for x in features)]
    of_all = compare_with_null(*permute_cka(batches, n_permutations=200, seed=(0, 0, 1)))
    labels = [name.split("/")[0] for name in classified[order]]
    within = compare_with_null(*permute_class_cka(batches, [labels], n_permutations=200, seed=(0, 0, 2)))
    for prefix, test in (("", of_all), ("class_", within)):
        for name in ("cka", "null_mean", "null_95", "calibrated", "p_value"):
            assert row[prefix + name] == pytest.approx(getattr(test, name).item(), abs=1e-5), prefix + name
    assert row["p_value"] == pytest.approx(1 / 201), "both tell classes apart"
    assert row["class_p_value"] > 0.02, "and share nothing else"
    assert chance["calibrated"] == 0
    facts = json.loads(Path("b/run.json").read_text())
    assert (facts["n_permutations"], facts["classes"]) == (200, "folders")
    assert (table("b", "closest")[NULL + CLASSES].notna()).all(axis=None)


def test_the_null_does_not_depend_on_layers_threads_or_how_classes_are_told(
    semrsm: Command, rng: np.random.Generator, classified: np.ndarray
) -> None:
    layers = {f"l{i}": rng.normal(size=(24, 3, 4)) for i in range(3)}
    np.savez("both.npz", **layers, ids=classified)
    np.savez("one.npz", l1=layers["l1"], ids=classified)
    lines = [f"{name},{name.split('/')[0]}" for name in reversed(classified)]
    Path("classes.csv").write_text("\n".join(["image,class", *lines, "another.png,cow"]))
    for run, settings in (
        ("both", ("x=both.npz", "classes=folders", "runtime.threads=1")),
        ("one", ("x=one.npz", "classes=classes.csv", "runtime.threads=3")),
    ):
        succeed(semrsm("cka", *settings, "batch_images=12", f"hydra.run.dir={run}"))
    both, one = (table(run).query("layer_a == 'l1' and layer_b == 'l1'") for run in ("both", "one"))
    np.testing.assert_allclose(both[NUMBERS].to_numpy(float), one[NUMBERS].to_numpy(float), atol=1e-9)
    same = table("both").query("layer_a == layer_b and invariance_a == invariance_b")
    np.testing.assert_allclose(same["calibrated"], 1)


def test_without_permutations_there_is_no_null(semrsm: Command, classified: np.ndarray) -> None:
    succeed(semrsm("cka", "x=a.npz", "n_permutations=0", "hydra.run.dir=none"))
    assert table("none")[NULL + CLASSES].isna().all(axis=None)
    assert table("none", "consistency")["p_value"].isna().all()
    result = succeed(semrsm("cka", "x=a.npz", "classes=folders", "batch_images=6", "hydra.run.dir=few"))
    assert table("few")["p_value"].notna().all()
    if table("few")["class_cka"].isna().all():
        assert "no class has 4 images in a mini-batch" in result.stderr


WRONG = [
    (["x=cows.npz", "n_permutations=18"], "n_permutations must be 0 or at least 19, got 18", 2),
    (["x=cows.npz", "n_permutations=0", "classes=folders"], "set n_permutations=200, or leave classes out", 2),
    (["x=a.npy", "classes=folders"], "classes= needs the ids of the images", 2),
    (["x=cows.npz", "classes=folders"], "classes=folders needs images in folders, but cow lies in none", 2),
    (["x=cows.npz", "classes=one.csv"], "one.csv says nothing of 11 of 12 images, the first is", 1),
    (["x=cows.npz", "classes=two.csv"], "gives cow two classes, a and b", 1),
    (["x=cows.npz", "classes=named.ids.csv"], "must have the columns image and class, it lacks image and class", 1),
    (["x=a.npy", "y=short.npy"], "a and short must hold the same images, got 12 and 11", 1),
    (["x=a.npy", "y=named.npy"], "named.ids.csv names 2 images, but named in named.npy holds 12", 1),
    (["x=left.npy", "y=right.npy"], "image 1 is dog in left, but cat in right", 1),
    (["x=a.npy", "y=constant.npy"], "constant constant: centring leaves nothing of x [12, 6, 4]", 1),
    (["x=nan.npy"], "nan nan: ", 1),
    (["x=a.npy", "estimator=unbiased", "batch_images=3"], "unbiased HSIC needs at least 4 images", 1),
    (["x=nothing.npy"], "there is no nothing.npy", 1),
    (["x=" + "0" * 32], "the store holds no representation 000", 1),
    (["x=[a.npy,a.npy]"], "a is given two layers of the name a", 2),
    (["y=a.npy"], "y= was given without x=", 2),
    (["x=a.npy", "model_names=a"], "x= takes the place of models; leave out model_names", 2),
    (["between_networks=true"], "between_networks=true compares networks with each other, but there is one", 2),
    (["model_names=nowhere/seed*"], "no network lies at nowhere/seed*", 1),
    (["kernels=[]"], "kernels is empty", 2),
]


def test_errors_are_one_line(semrsm: Command, x: np.ndarray) -> None:
    np.save("a.npy", x)
    np.save("short.npy", x[:11])
    np.save("constant.npy", np.ones_like(x))
    np.save("nan.npy", np.where(x > 2, np.nan, x))
    for name, ids in (("left", ["cow", "dog"]), ("right", ["cow", "cat"])):
        np.save(f"{name}.npy", x[:2])
        Path(f"{name}.ids.csv").write_text("row,id\n" + "".join(f"{i},{one}\n" for i, one in enumerate(ids)))
    np.save("named.npy", x)
    np.savez("cows.npz", x=x, ids=["cow", *(f"image {i}" for i in range(11))])
    Path("one.csv").write_text("image,class\ncow,animal\n")
    Path("two.csv").write_text("image,class\ncow,a\ncow,b\n")
    Path("named.ids.csv").write_text("row,id\n0,cow\n1,dog\n")
    for arguments, complaint, exit_code in WRONG:
        refuse(semrsm, "cka", *arguments, complaint=complaint, exit_code=exit_code)


def test_few_images_are_said_to_mislead(semrsm: Command) -> None:
    rng = np.random.default_rng(0)
    np.save("a.npy", rng.normal(size=(12, 4, 30)))
    np.save("b.npy", rng.normal(size=(12, 4, 30)))
    arguments = ("cka", "x=a.npy", "y=b.npy", "kernels=[linear]")
    result = succeed(semrsm(*arguments, "hydra.run.dir=few"))
    assert table("few")["biased"].min() > 0.5, "of noise with noise"
    assert table("few")["unbiased"].abs().max() < 0.5
    assert "biased CKA of 12 images lies up to" in result.stderr
    assert "estimator=unbiased" in result.stderr
    assert "biased CKA" not in succeed(semrsm(*arguments, "estimator=unbiased", "hydra.run.dir=unbiased")).stderr
    many = rng.normal(size=(150, 1, 3))
    np.save("a.npy", many)
    np.save("b.npy", many[:, :, ::-1] * [1, 2, 3])
    assert "biased CKA" not in succeed(semrsm(*arguments, "hydra.run.dir=many")).stderr
