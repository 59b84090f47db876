"""The child: runs the cells of a submission, calls its functions, and sends what comes out as JSON.

This is the one module of the grader that shares a process with a student's code. It knows inputs and no right
answer; it judges nothing. What it sends is plain JSON, never pickle, so reading it cannot run anything: a tensor
is {"tensor": [dtype, shape, base64 of its bytes, little-endian]}.
"""

import base64
import builtins
import importlib
import json
import math
import os
import struct
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

DTYPES = """bool uint8 int8 int16 int32 int64 float16 bfloat16 float32 float64 complex64 complex128""".split()
MOST_NUMBERS = 2_000_000  # of one tensor
LONGEST_TEXT = 2000  # characters of a text or of an error's message


@dataclass(frozen=True)
class Limits:
    """What the code of one submission may use."""

    seconds: float = 20.0  # of wall clock, for each step
    total: float = 120.0  # of wall clock, for all of them
    memory: int = 2048  # MB beyond what PyTorch itself takes
    processes: int = 16  # at once, threads included
    file_size: int = 16  # MB, for each file; all files together four times that


def work(job: dict, send: Callable[[dict], None]) -> None:
    """Take the steps of a job in order and send a reply to each, as soon as it is there.

    A step is a cell to run, {"cell": name, "source": code}, or a question, {"ask": name, "cases": [inputs, …]}: what
    does the function called `name` return for each tuple of inputs? Without "cases": what is the value of `name`?
    """
    importlib.import_module("minigpt.homework.check").GIVEN.update(decode(job["given"]))
    space = {"__name__": "__main__", "__builtins__": builtins}
    for number, step in enumerate(job["steps"]):
        send({"step": number, **(run_cell(step, space) if "cell" in step else ask(step, space))})


def run_cell(step: dict, space: dict) -> dict:
    """Run a cell's code in the notebook's namespace."""
    try:
        exec(compile(step["source"], f"<{step['cell']}>", "exec"), space)
    except BaseException as e:  # SystemExit too: a cell that exits has run into an error
        return {"error": encode(e)}
    return {"error": None}


def ask(step: dict, space: dict) -> dict:
    """The value of a name, or what the function of that name returns for each case."""
    answer = space.get(step["ask"])
    if step["cases"] is None or not callable(answer):
        return {"value": encode(answer)}
    outcomes = []
    for case in step["cases"]:
        try:
            outcomes.append(encode(answer(*decode(case))))  # decoded for each call: a function may work in place
        except BaseException as e:
            outcomes.append(encode(e))
    return {"outcomes": outcomes}


# ---- values as JSON ------------------------------------------------------------------------------


def encode(value: Any) -> Any:
    """A value as JSON. What has no place in it is described: {"other": "a function"}."""
    torch, numpy = sys.modules.get("torch"), sys.modules.get("numpy")
    if value is None or isinstance(value, bool | float) or (isinstance(value, int) and value.bit_length() < 4000):
        return value
    if isinstance(value, str):
        return str(value[:LONGEST_TEXT])
    if value is ... or value is NotImplemented:
        return {"open": True}
    if isinstance(value, BaseException):
        return {"error": [type(value).__name__, error_text(value)]}
    if isinstance(value, list):
        return [encode(v) for v in value]
    if isinstance(value, tuple):
        return {"tuple": [encode(v) for v in value]}
    if isinstance(value, dict):
        return {"dict": [[encode(k), encode(v)] for k, v in value.items()]}
    if torch and numpy and isinstance(value, numpy.ndarray | numpy.generic) and value.dtype.kind in "biufc":
        value = torch.as_tensor(value)
    if torch and isinstance(value, torch.Tensor) and value.layout == torch.strided:
        return encode_tensor(value.detach().cpu())
    return {"other": f"a {type(value).__name__}"[:LONGEST_TEXT]}


def encode_tensor(value) -> dict:
    """A dense tensor: its dtype's name, its shape and its bytes."""
    import torch

    dtype = str(value.dtype).removeprefix("torch.")
    if dtype not in DTYPES or value.numel() > MOST_NUMBERS:
        return {"other": f"a tensor of {dtype} with shape {tuple(value.shape)}"}
    data = value.resolve_conj().resolve_neg().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
    return {"tensor": [dtype, list(value.shape), base64.b64encode(data).decode("ascii")]}


def error_text(error: BaseException) -> str:
    """An error's message; of a SyntaxError also the line."""
    try:
        line = traceback.format_exception_only(error)[-1].strip().partition(": ")[2]
        return f"{line} (line {error.lineno})" if isinstance(error, SyntaxError) else line[:LONGEST_TEXT]
    except Exception:  # its __str__ raises
        return ""


class Other:
    """Something that JSON cannot hold. It prints as what it was."""

    def __init__(self, words: str):
        self.words = words

    def __repr__(self) -> str:
        return self.words


def decode(data: Any) -> Any:
    """What `encode` made JSON of. ValueError or TypeError if the data are no such thing."""
    if isinstance(data, list):
        return [decode(v) for v in data]
    if not isinstance(data, dict):
        return data
    ((kind, content),) = data.items()
    match kind:
        case "open":
            return ...
        case "tuple":
            return tuple(decode(v) for v in content)
        case "dict":
            return {decode(k): decode(v) for k, v in content}
        case "error":
            return decode_error(*content)
        case "other":
            return Other(str(content))
        case "tensor":
            return decode_tensor(*content)
    raise ValueError(f"{kind!r} is no kind of value")


def decode_error(name: str, message: str) -> Exception:
    """An exception whose type has this name, and with this message. It is raised nowhere."""
    base = NotImplementedError if name == "NotImplementedError" else RuntimeError
    return type(str(name)[:80], (base,), {"__module__": "builtins"})(str(message))


def decode_tensor(dtype: str, shape: list[int], data: str):
    """A tensor from its dtype's name, shape and bytes."""
    import torch

    if dtype not in DTYPES or len(shape) > 16 or not all(type(n) is int and 0 <= n <= MOST_NUMBERS for n in shape):
        raise ValueError("no tensor has this dtype and shape")
    if (count := math.prod(shape)) > MOST_NUMBERS:
        raise ValueError(f"a tensor of {count} numbers is too large")
    kind, content = getattr(torch, dtype), bytearray(base64.b64decode(data, validate=True))
    if len(content) != count * torch.empty(0, dtype=kind).element_size():
        raise ValueError("a tensor's bytes do not fit its shape")
    return torch.frombuffer(content, dtype=kind).reshape(shape).clone() if count else torch.empty(shape, dtype=kind)


def to_line(value: dict) -> bytes:
    """JSON on one line."""
    return json.dumps(value).encode("ascii") + b"\n"


def put(data: bytes, file: int = 1) -> None:
    """Write all of it to an open file, standard output if no other is named."""
    while data:
        data = data[os.write(file, data) :]


def read_job() -> dict | None:
    """Read one job from standard input: its length in 8 bytes, then JSON. None at the end."""
    head = read_exactly(8)
    return json.loads(read_exactly(*struct.unpack("<Q", head))) if len(head) == 8 else None


def read_exactly(n: int) -> bytes:
    """The next n bytes of standard input; fewer at its end."""
    data = b""
    while len(data) < n and (more := os.read(0, n - len(data))):
        data += more
    return data


def serve_one() -> None:
    """Without walls (Windows): take one job in this very process."""
    out, null = os.dup(1), os.open(os.devnull, os.O_RDWR)
    put(b"W{}\n", out)
    job = read_job()
    for number in (0, 1, 2):
        os.dup2(null, number)
    if job is not None:
        work(job, lambda reply: put(b"R" + to_line(reply), out))
        put(b"E\n", out)
