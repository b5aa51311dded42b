"""Settings that had another name once, and what they may be called today."""

__all__ = ["RENAMED"]

RENAMED = {
    "runtime.loaders": ("runtime.num_workers",),
    "runtime.workers": ("runtime.threads",),
    "matching.k": ("matching.n_exact",),
    "dataset.draw": ("dataset.split_file",),
    "k": ("n_neighbours", "n_exact"),
    "a": ("x",),
    "b": ("y",),
    "names": ("model_names",),
    "across": ("between_networks",),
    "hold_out": ("val_fraction",),
}
