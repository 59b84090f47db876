"""LoRA: fine-tune two thin matrices beside each large one (Hu et al., 2021).

The large matrix W (out, in) stays as it was trained; what is used is W + (alpha / rank) · B A, with B (out, rank)
and A (rank, in). B starts at 0, so at first nothing has changed. PyTorch's parametrizations compute the sum wherever
the weight is asked for, so attention, which slices c_attn's weight for another context, needs to know nothing of it.
"""

from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.nn.utils import parametrize

from .files import write_whole
from .quantize import dequantize

TARGETS = ("c_attn", "c_proj", "c_fc")


class LowRank(nn.Module):
    """W -> W + (alpha / rank) · B A."""

    def __init__(self, weight: Tensor, rank: int, alpha: float):
        super().__init__()
        out_features, in_features = weight.shape
        self.A = nn.Parameter(torch.randn(rank, in_features, device=weight.device) / in_features**0.5)
        self.B = nn.Parameter(torch.zeros(out_features, rank, device=weight.device))
        self.scale = alpha / rank

    def forward(self, weight: Tensor) -> Tensor:
        return weight + self.scale * (self.B @ self.A)


def add_lora(model: nn.Module, rank: int = 8, alpha: float = 16.0, targets: tuple[str, ...] = TARGETS) -> None:
    """Freeze `model` and put a LowRank beside every Linear whose name ends with one of `targets`, in place.

    A head that is new (TaskHead's `score`) goes on training whole. Raises ValueError if nothing matches, if a layer
    shares its weight with the embeddings, or if the model has a LoRA already.
    """
    if rank < 1:
        raise ValueError(f"rank={rank} must be at least 1; 8 is common")
    if hasattr(model, "lora"):
        raise ValueError("this model has a LoRA already: merge it first with merge_lora(model)")
    layers = [m for n, m in model.named_modules() if isinstance(m, nn.Linear) and n.split(".")[-1] in targets]
    if not layers:
        raise ValueError(f"no layer of {type(model).__name__} is called {' or '.join(targets)}")
    tables = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
    if any(id(layer.weight) in tables for layer in layers):  # merged, the addition would change what is read as well
        raise ValueError("lm_head is the table of embeddings here: choose other targets, or a model with tied=False")
    for name, p in model.named_parameters():
        p.requires_grad_(name.startswith("score."))
    for layer in layers:
        parametrize.register_parametrization(layer, "weight", LowRank(layer.weight, rank, alpha))
    model.lora = {"rank": rank, "alpha": alpha, "targets": list(targets)}


def merge_lora(model: nn.Module) -> None:
    """Add each B A to its W for good, in place: the same function, with the plain model's speed and names."""
    for layer in lora_layers(model).values():
        parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)
    for p in model.parameters():
        p.requires_grad_(True)
    del model.lora


def lora_layers(model: nn.Module) -> dict[str, nn.Module]:
    """The layers that have a LoRA, by name. Raises ValueError if there are none."""
    layers = {n: m for n, m in model.named_modules() if parametrize.is_parametrized(m, "weight")}
    if not layers:
        raise ValueError("this model has no LoRA: call add_lora(model) first")
    return layers


def save_lora(model: nn.Module, path) -> Path:
    """Write the adapter alone, all A and B, into one safetensors file."""
    tensors = {}
    for name, layer in lora_layers(model).items():
        low = layer.parametrizations.weight[0]
        tensors |= {f"{name}.A": low.A.detach().contiguous(), f"{name}.B": low.B.detach().contiguous()}
    about = {"format": "minigpt-lora", "rank": str(model.lora["rank"]), "alpha": str(model.lora["alpha"])}
    about["targets"] = " ".join(model.lora["targets"])
    write_whole(Path(path), safetensors.torch.save(tensors, metadata=about))
    return Path(path)


def load_lora(model: nn.Module, path) -> None:
    """Put a saved adapter beside the weights of `model`, in place: the model that it was trained beside.

    An adapter that `minigpt shrink` stored in 8 bits is read too. Raises ValueError if the file is damaged, is no
    adapter, or belongs to a model of another shape.
    """
    try:
        with safe_open(path, framework="pt") as file:
            about = file.metadata() or {}
            tensors = dequantize({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
    except FileNotFoundError:
        raise ValueError(f"{path} is not there: name the file that save_lora wrote") from None
    except (SafetensorError, OSError) as e:
        raise ValueError(f"{path} is truncated or damaged ({e}): save the adapter again") from e
    if about.get("format") != "minigpt-lora":
        raise ValueError(f"{path} is no adapter of minigpt: name the file that save_lora wrote")
    try:
        rank, alpha, targets = int(about["rank"]), float(about["alpha"]), tuple(about["targets"].split())
    except (KeyError, ValueError) as e:
        raise ValueError(f"{path} does not say which adapter it is ({e}): save the adapter again") from e
    if not all(t.ndim == 2 and rank in t.shape for t in tensors.values()):  # before so much memory is asked for
        raise ValueError(f"{path} holds no matrices of rank {rank}: save the adapter again")
    add_lora(model, rank, alpha, targets)
    layers = lora_layers(model)
    wanted = {f"{n}.{m}": getattr(layer.parametrizations.weight[0], m) for n, layer in layers.items() for m in "AB"}
    if {n: t.shape for n, t in tensors.items()} != {n: p.shape for n, p in wanted.items()}:
        merge_lora(model)  # B is still 0: this takes the adapter away and leaves the weights as they were
        raise ValueError(f"{path} belongs to a model of another shape: load it beside the model it was trained with")
    with torch.no_grad():
        for name, parameter in wanted.items():
            parameter.copy_(tensors[name])
