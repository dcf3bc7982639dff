#!/usr/bin/env python3
"""Writes the golden vectors of @descriptor@: blocks, and the weights that they mean.

    python3 @script@

Every engine must decode these bytes to these weights, bit for bit. So let the numbers come from the code that
defined the format, not from its descriptor: replace the body of decode(), and sets() if you have trained blocks.
"""

import json
import random
import struct
from pathlib import Path

WEIGHTS = @weights@  # per block


def decode(block: bytes) -> list[float]:
    """The weights of one block. REPLACE THIS: call the reference, in numpy, torch, C through ctypes, ...

    It must compute in float32 where the format does. Python's floats have 64 bits, which is the same as long as a
    weight rounds once, as in this product.
    """
    (d,) = struct.unpack_from("<e", block)
    codes = int.from_bytes(block[2:], "little")
    return [d * ((codes >> @bits@ * i & @last@) - @bias@) for i in range(WEIGHTS)]


def sets() -> dict[str, list[bytes]]:
    """Blocks by what they are good for. REPLACE THIS where the bytes of a block are others."""
    rng = random.Random(1)

    def block(d: float) -> bytes:
        return struct.pack("<e", d) + rng.randbytes(@bytes@)

    return {
        "random": [block(rng.uniform(-2, 2)) for _ in range(16)],
        "edge_scales": [block(d) for d in [0.0, -0.0, 2**-24, 2**-14, 1.0, 65504.0, -65504.0]],
        "nonfinite_scales": [block(d) for d in [float("inf"), float("-inf"), float("nan")]],
    }


def save(path: Path, tensors: dict[str, tuple[str, list[int], bytes]]) -> None:
    """Writes a safetensors file: type, shape and bytes of each tensor."""
    header, data = {}, b""
    for name, (dtype, shape, raw) in tensors.items():
        offsets = [len(data), len(data) + len(raw)]
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": offsets}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def main() -> None:
    tensors = {}
    for name, blocks in sets().items():
        weights = [weight for block in blocks for weight in decode(block)]
        raw = struct.pack(f"<{len(weights)}f", *weights)
        tensors[f"{name}.weights"] = ("F32", [len(blocks), WEIGHTS], raw)
    for name, blocks in sets().items():
        raw = b"".join(blocks)
        shape = [len(blocks), len(raw) // len(blocks)]
        tensors[f"{name}.blocks"] = ("U8", shape, raw)  # a tensor per stream; blocks are the stream `blocks`
    path = Path(__file__).with_suffix(".safetensors")
    save(path, tensors)
    print(f"{path}: {', '.join(f'{len(blocks)} blocks {name}' for name, blocks in sets().items())}")


if __name__ == "__main__":
    main()
