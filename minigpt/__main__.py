"""The command line: python -m minigpt COMMAND; without a command, or with --help, it lists them."""

import os
import sys
from typing import Literal

import torch
from tyro.extras import subcommand_cli_from_dict

from .commands.data import data_fetch, data_help, data_list, data_prepare, data_verify
from .commands.evaluate import evaluate_command
from .commands.grade import grade_command
from .commands.shrink import shrink_command
from .commands.train import finetune_command, train_command
from .commands.use import chat_command, export_command, generate_command


def bench_command(sizes: tuple[Literal["1M", "10M"], ...] = ("1M", "10M"), device: str = "auto") -> None:
    """Measure tokens per second beside the same model in Hugging Face transformers.

    Args:
        sizes: which models.
        device: auto, cpu, cuda or mps.
    """
    from .bench import bench

    bench(sizes, device)


def doctor_command() -> None:
    """Say what is here, what is missing, and how to get it."""
    from .doctor import doctor

    doctor()


COMMANDS = {
    "data": {"list": data_list, "fetch": data_fetch, "verify": data_verify, "prepare": data_prepare},
    "train": train_command,
    "finetune": finetune_command,
    "generate": generate_command,
    "chat": chat_command,
    "evaluate": evaluate_command,
    "export": export_command,
    "shrink": shrink_command,
    "grade": grade_command,
    "bench": bench_command,
    "doctor": doctor_command,
}


def main() -> None:
    """Run one command. What a user can mend is told in one sentence, with exit status 1 and no traceback."""
    args = sys.argv[1:]
    try:
        if args[:1] == ["data"]:  # `data` alone lists
            args = args[1:] or ["list"]
            subcommand_cli_from_dict(COMMANDS["data"], prog="minigpt data", args=args)
        else:
            commands = {**COMMANDS, "data": data_help}
            subcommand_cli_from_dict(commands, prog="minigpt", args=args, description=__doc__)
    except BrokenPipeError:  # whoever read the output, `head` say, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (ValueError, OSError, MemoryError, FloatingPointError, ModuleNotFoundError) as e:
        sys.exit(f"minigpt: {e}")
    except RuntimeError as e:
        if "allocate memory" not in str(e) and not isinstance(e, torch.OutOfMemoryError):
            raise
        sys.exit("minigpt: out of memory: use a smaller preset, a smaller batch_size or a shorter block_size")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
