"""What a submission's process sends: values as JSON, and back, unless they are no such thing."""

import json

import pytest
import torch

from minigpt.homework.worker import Other, decode, encode


def test_tensors_cross_as_they_are():
    for dtype in (torch.bool, torch.uint8, torch.int64, torch.float16, torch.bfloat16, torch.float32, torch.complex64):
        tensor = (4 * torch.randn(2, 0 if dtype == torch.uint8 else 3)).to(dtype).mT
        back = decode(json.loads(json.dumps(encode(tensor))))
        assert back.dtype == dtype and torch.equal(back, tensor)
    for plain in (None, True, 3, -1.5, "é", [1, [2]], (1, (2, None)), {"a": 1, 2: (3,)}, ..., float("inf")):
        assert decode(json.loads(json.dumps(encode(plain)))) == plain
    assert repr(decode(encode(len))) == "a builtin_function_or_method" and isinstance(decode(encode({1})), Other)
    error = decode(encode(IndexError("no")))
    assert type(error).__name__ == "IndexError" and str(error) == "no"


@pytest.mark.parametrize("data", [["float32", [2], "AAAA"], ["float32", [10**9], ""], ["float32", [-1], ""],
                                  ["object", [1], "AAAA"], ["float32", [1], "!"], ["float32", [True], "AAAAAA=="],
                                  [1, 2], ["float32", "ab", ""]])  # fmt: skip
def test_a_tensor_that_is_none_is_refused(data):
    with pytest.raises((ValueError, TypeError)):
        decode({"tensor": data})
