"""Where the model runs, in which numbers, and together with which other processes.

Several processes train one model when torchrun starts them (torchrun --nproc_per_node N -m minigpt train …): each has
a device of its own and reads its own part of every batch; PyTorch's DistributedDataParallel averages their gradients
(Li et al., 2020).
"""

import os
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor


def pick_device(name: str = "auto") -> torch.device:
    """The device called `name`; "auto" takes CUDA, else Apple's MPS, else the CPU."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    if name == "cuda" and "LOCAL_RANK" in os.environ:  # torchrun: one card for each process
        name = f"cuda:{os.environ['LOCAL_RANK']}"
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as e:
        raise ValueError(f"device {name!r} cannot be used here ({str(e).splitlines()[0]}): use 'auto' or 'cpu'") from e
    return torch.device(name)


def cpu_has_bfloat16() -> bool:
    """Whether this CPU multiplies bfloat16 matrices in hardware (AMX or AVX512-BF16)."""
    tests = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    return any(getattr(torch.cpu, name, bool)() for name in tests)


def pick_dtype(name: str, device: torch.device, parameters: int) -> str:
    """The dtype called `name`; "auto" takes bfloat16 where the hardware has it and it pays, else float32.

    On a CPU it pays for large matrices: `minigpt bench` on two cores with AVX512-BF16 trained 11 M parameters 1.7
    times as fast, 1 M only 1.1 times, so smaller models keep float32's digits.
    """
    if name != "auto":
        return name
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float32"
    return "bfloat16" if device.type == "cpu" and parameters >= 5_000_000 and cpu_has_bfloat16() else "float32"


def autocast(dtype: str, device: torch.device):
    """The context in which the model runs: with bfloat16, its matrix products use it; weights stay float32."""
    return torch.autocast(device.type, dtype=torch.bfloat16) if dtype == "bfloat16" else nullcontext()


@dataclass(frozen=True)
class Group:
    """The processes that train together: this one's number and how many there are. One process alone is a group too."""

    rank: int = 0
    size: int = 1

    def sum(self, t: Tensor) -> Tensor:
        """The sum of every process's `t`, in each of them."""
        if self.size > 1:
            try:
                dist.all_reduce(t)
            except RuntimeError as e:  # they wait for each other in here, so this is where a death is noticed
                raise self.lost(e) from e
        return t

    def any(self, flag: bool, device: torch.device) -> bool:
        """Whether the flag is up in any process."""
        return bool(self.sum(torch.tensor(int(flag), device=device))) if self.size > 1 else flag

    def lost(self, error: RuntimeError) -> ConnectionError:
        """What to raise when the others no longer answer."""
        return ConnectionError(
            f"another process of this run has ended ({str(error).splitlines()[0][:100]}): start the same command with "
            "--resume, and the run goes on from its last checkpoint"
        )

    def part(self, t: Tensor) -> Tensor:
        """This process's rows of a batch that all have drawn alike."""
        return t[self.rank :: self.size]


# Groups of runs that have ended. Were DistributedDataParallel the last to hold one, it would join the group's threads
# while it holds Python's lock, which they need to let go of the last tensor: both would wait for ever.
ENDED = []


@contextmanager
def process_group(device: torch.device):
    """The Group that torchrun has started this process in, joined for the time of the block."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield Group()
        return
    ours = not dist.is_initialized()
    if ours:
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Group(dist.get_rank(), dist.get_world_size())
    finally:
        if ours:
            ENDED.append(dist.group.WORLD)
            dist.destroy_process_group()


def is_main_process() -> bool:
    """Whether this process is the one that prints and writes: the first of torchrun's, or the only one."""
    return os.environ.get("RANK", "0") == "0"
