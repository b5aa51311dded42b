"""Training of networks for small images, on Lightning Fabric; after an interruption it resumes from its last epoch.

Seed and epoch alone determine the order of the images, and with the image's index its augmentation. The weights
therefore depend neither on the number of loader processes nor on interruptions.
"""

import json
import logging
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from lightning.fabric import Fabric
from lightning.fabric.plugins.environments import LightningEnvironment
from PIL.Image import Image
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR
from torch.utils.data import Dataset

from semrsm_cli.errors import SemrsmError
from semrsm_cli.files import UNSEALED, atomic, is_sealed, seal
from semrsm_cli.models.augmentation import augmentation, preprocessing
from semrsm_cli.models.loading import load_batches
from semrsm_cli.models.recipe import Recipe, TrainingPrecision
from semrsm_cli.models.resnet import build_network

__all__ = ["Epoch", "Examples", "TrainDataset", "Training", "ValDataset"]

_FABRIC_PRECISION: dict[TrainingPrecision, Any] = {
    TrainingPrecision.float32: "32-true",
    TrainingPrecision.bfloat16: "bf16-mixed",
}
_MOMENTUM, _WEIGHTS = "momentum.", "weights."
_TRAINING = "training"
_LOG = logging.getLogger(__name__)


class Examples(Protocol):
    """Images with the number of their class."""

    def __len__(self) -> int:
        """How many there are."""
        ...

    def __getitem__(self, index: int) -> tuple[Image, int]:
        """An RGB image and its class."""
        ...


@dataclass(frozen=True)
class Epoch:
    """Results of one epoch; losses are cross-entropies in nats, accuracies shares of images."""

    epoch: int
    learning_rate: float
    train_loss: float
    train_accuracy: float
    val_loss: float
    val_accuracy: float


class Training:
    """A training that resumes from its file `state`.

    Args:
        recipe: Network, augmentation and optimisation.
        train: Training images.
        val: Validation images.
        n_classes: Number of classes.
        seed: Seed of the weights, of the order of the images, and of their augmentation.
        state: File of weights, momentum and history, written after every epoch and read where it exists.
        device: Torch device.
        num_workers: Processes that load images; 0 loads them in this one.

    Attributes:
        network: The network, with the weights after the last finished epoch.
        history: All finished epochs.
    """

    def __init__(
        self,
        recipe: Recipe,
        train: Examples,
        val: Examples,
        *,
        n_classes: int,
        seed: int,
        state: Path,
        device: str = "cpu",
        num_workers: int = 0,
    ) -> None:
        self.recipe, self.seed, self.state, self.num_workers = recipe, seed, state, num_workers
        logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)  # Fabric logs its settings through it
        self.fabric = Fabric(
            **_fabric_device(device),
            precision=_FABRIC_PRECISION[recipe.precision],
            plugins=[LightningEnvironment()],  # one process: in a job of Slurm it would ask for srun, or join its tasks
        )
        self.network = build_network(recipe, n_classes=n_classes, seed=seed)
        sgd = _build_optimizer(self.network, recipe)
        # half a cosine from the recipe's learning rate in the first epoch towards 0 (Loshchilov and Hutter 2017)
        self.schedule = CosineAnnealingLR(sgd, T_max=recipe.epochs)
        self.module, self.optimizer = self.fabric.setup(self.network, sgd)
        self.train = TrainDataset(train, recipe, seed)
        self.val = ValDataset(val, recipe)
        self.history = self.restore()

    @property
    def n_steps(self) -> int:
        """Steps of one epoch, validation included."""
        return -(-len(self.train) // self.recipe.batch_size) + -(-len(self.val) // self.recipe.batch_size)

    def run(self, advance: Callable[[int], None]) -> None:
        """Train the epochs that are left, and write the state after each.

        Args:
            advance: Called with 1 after every step.

        Raises:
            SemrsmError: The loss is not finite.
        """
        with torch.backends.cudnn.flags(deterministic=True, benchmark=False):
            for epoch in range(len(self.history), self.recipe.epochs):
                self.history.append(self.run_epoch(epoch, advance))
                self.schedule.step()
                self.save()

    def run_epoch(self, epoch: int, advance: Callable[[int], None]) -> Epoch:
        """Train on every training image once, then compute the scores of the validation images."""
        (rate,) = map(float, self.schedule.get_last_lr())
        self.module.train()
        train = [self.step(images, labels) for images, labels in self.batches(self.train, epoch, advance)]
        self.module.eval()
        with torch.inference_mode():
            val = [self.compute_loss(images, labels)[1] for images, labels in self.batches(self.val, None, advance)]
        train_loss, train_accuracy = _mean_scores(train)
        if not math.isfinite(train_loss):
            raise SemrsmError(
                f"the loss is {train_loss} after epoch {epoch + 1} at a learning rate of {rate:.3g}; "
                "lower learning_rate"
            )
        return Epoch(epoch + 1, rate, train_loss, train_accuracy, *_mean_scores(val))

    def step(self, images: Tensor, labels: Tensor) -> Tensor:
        """One step of the optimiser; returns the sums of `compute_loss`."""
        self.optimizer.zero_grad()
        loss, scores = self.compute_loss(images, labels)
        self.fabric.backward(loss)
        self.optimizer.step()
        return scores

    def compute_loss(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """The mean loss of a batch, and sums over it: loss, correct answers, images."""
        logits = self.module(images)
        loss = nn.functional.cross_entropy(logits.float(), labels)
        n_correct = (logits.argmax(dim=1) == labels).sum()
        n_images = torch.full_like(n_correct, len(labels))
        return loss, torch.stack([loss.detach() * len(labels), n_correct, n_images]).double()

    def batches(
        self, examples: "TrainDataset | ValDataset", epoch: int | None, advance: Callable[[int], None]
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches on the device: in the epoch's own order, or without an epoch as they come."""
        size = self.recipe.batch_size
        order: Sequence[Any] = range(len(examples))
        if epoch is not None:
            order = [(epoch, int(i)) for i in _random_order(len(examples), self.seed, epoch)]
        cut = [list(order[i : i + size]) for i in range(0, len(order), size)]
        for images, labels in load_batches(examples, cut, self.num_workers, device=str(self.fabric.device)):
            device = self.fabric.device
            yield images.to(device, non_blocking=True), labels.to(device, non_blocking=True)
            advance(1)

    def save(self) -> None:
        """Write weights, momentum and history; the file is replaced as a whole, and the last one kept beside it."""
        names = {parameter: name for name, parameter in self.network.named_parameters()}
        tensors = {f"{_WEIGHTS}{name}": tensor for name, tensor in self.network.state_dict().items()}
        for parameter, buffers in self.optimizer.state.items():
            if buffers["momentum_buffer"] is not None:
                tensors[f"{_MOMENTUM}{names[parameter]}"] = buffers["momentum_buffer"]
        content = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        about = f"{self.recipe.architecture}, seed {self.seed}"
        facts = {"history": [asdict(epoch) for epoch in self.history], "about": about, "seal": UNSEALED}
        metadata = {_TRAINING: json.dumps(facts)}  # one entry, since safetensors writes several in any order
        self.state.parent.mkdir(parents=True, exist_ok=True)
        with atomic(self.state) as unfinished:
            unfinished.write_bytes(seal(save(content, metadata=metadata)))
            if self.state.is_file():
                self.state.replace(self._previous)

    def restore(self) -> list[Epoch]:
        """Load weights, momentum and the schedule's position from the last state that is whole; returns its epochs."""
        for path in (self.state, self._previous):
            if path.is_file():
                content = path.read_bytes()
                if is_sealed(content):
                    return self._load(content)
                _LOG.warning("%s is damaged; training goes on from the epoch before it, or begins anew", path)
        return []

    @property
    def _previous(self) -> Path:
        """The state after the epoch before the last, in case that the last one is damaged."""
        return self.state.with_stem(f"{self.state.stem}_before")

    def _load(self, content: bytes) -> list[Epoch]:
        """Take over a state that is whole."""
        tensors = load(content)
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        history = json.loads(header["__metadata__"][_TRAINING])["history"]
        weights = {name.removeprefix(_WEIGHTS): tensor for name, tensor in tensors.items() if name.startswith(_WEIGHTS)}
        self.network.load_state_dict(weights)
        for name, parameter in self.network.named_parameters():
            buffer = tensors.get(f"{_MOMENTUM}{name}")
            self.optimizer.state[parameter]["momentum_buffer"] = None if buffer is None else buffer.to(parameter.device)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # torch expects steps of the optimiser in between
            for _ in history:
                self.schedule.step()
        return [Epoch(**epoch) for epoch in history]


class TrainDataset(Dataset[tuple[Tensor, int]]):
    """Training images; the augmentation of image i in an epoch depends on seed, epoch and i alone."""

    def __init__(self, examples: Examples, recipe: Recipe, seed: int) -> None:
        self.examples, self.seed, self.transform = examples, seed, augmentation(recipe)

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, key: tuple[int, int]) -> tuple[Tensor, int]:
        epoch, i = key
        image, label = self.examples[i]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(np.random.SeedSequence((self.seed, epoch, i)).generate_state(1, np.uint64)[0]))
            return self.transform(image), label


class ValDataset(Dataset[tuple[Tensor, int]]):
    """Validation images, without augmentation."""

    def __init__(self, examples: Examples, recipe: Recipe) -> None:
        self.examples, self.transform = examples, preprocessing(recipe)

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        image, label = self.examples[i]
        return self.transform(image), label


def _build_optimizer(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """Stochastic gradient descent with Nesterov's momentum."""
    return torch.optim.SGD(
        network.parameters(),
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        nesterov=recipe.momentum > 0,
        weight_decay=recipe.weight_decay,
    )


def _random_order(n: int, seed: int, epoch: int) -> np.ndarray:
    """The order in which an epoch sees the n images."""
    return np.random.default_rng((seed, epoch)).permutation(n)


def _mean_scores(batches: Sequence[Tensor]) -> tuple[float, float]:
    """Mean loss and accuracy over all batches."""
    loss, n_correct, n_images = torch.stack(list(batches)).sum(dim=0).tolist()
    return loss / n_images, n_correct / n_images


def _fabric_device(device: str) -> dict[str, Any]:
    """Fabric's arguments for a torch device such as `cuda:1`."""
    kind, _, number = device.partition(":")
    if kind == "cpu":
        return {"accelerator": "cpu", "devices": 1}
    return {"accelerator": kind, "devices": [int(number)] if number else 1}
