#!/usr/bin/env python3
"""Writes the golden vectors of bitsandbytes, GPTQ and AWQ.

    python make.py CUDA SOURCES

CUDA     `bitsandbytes.safetensors`: what bitsandbytes 0.50.2 computed on CUDA
SOURCES  a folder with auto_gptq-0.7.1/ (wheel) and autoawq-0.2.9/ (sdist) of the Python package index, unpacked

Python 3.11; pip install torch==2.15.0 bitsandbytes==0.50.2 gptqmodel==7.7.0 transformers==5.23.0
numpy==2.4.6 safetensors==0.8.0. No GPU is needed. The same inputs give the same bytes.

The libraries compute every stream and every weight; the formulas here are only compared with them.
"""
import importlib.util
import json
import sys
import types
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file, save_file

HERE, CUDA, SOURCES = Path(__file__).parent, Path(sys.argv[1]), Path(sys.argv[2])
F16_EDGES = np.array([0, 0x8000, 1, 0x83FF, 0x400, 0x7BFF, 0xFBFF, 0x3C00], "u2").view("f2")
F32_EDGES = np.array([0, 1 << 31, 1, 0x807FFFFF, 0x800000, 0x7F7FFFFF, 0xFF7FFFFF, 0x3F800000], "u4").view("f4")
NONFINITE = np.array([np.inf, -np.inf, np.nan, -np.nan])


class File:
    """The sets of one golden file, in the order they are added."""

    def __init__(self, name):
        self.path, self.tensors = HERE / f"{name}.safetensors", {}
        self.random = np.random.default_rng(sum(name.encode()))

    def add(self, set, weights, sizes={}, **streams):
        for name, stream in streams.items():
            self.tensors[f"{set}.{name}"] = np.ascontiguousarray(stream).reshape(-1).view("u1")
        for name, size in sizes.items():
            self.tensors[f"{set}.sizes.{name}"] = np.array([size], "u4")
        self.tensors[f"{set}.weights"] = np.ascontiguousarray(weights, "f4")

    def save(self):
        save_file(self.tensors, self.path)
        self.path.chmod(0o644)


def same(a, b, what):
    """Stops unless a and b are the same bits; NaN equals NaN."""
    a, b = np.asarray(a, "f4").reshape(-1), np.asarray(b, "f4").reshape(-1)
    assert np.all((a.view("u4") == b.view("u4")) | (np.isnan(a) & np.isnan(b))), what


def module(path, name):
    """A Python file of SOURCES, without the package around it."""
    spec = importlib.util.spec_from_file_location(name, SOURCES / path)
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def bitsandbytes():
    import bitsandbytes.backends.cpu.ops as cpu
    import bitsandbytes.functional as bnb

    cuda = load_file(CUDA)
    cpu._has_avx512 = False  # its library for every block size, never the table in Python

    def add(file, set, kind, b, shape, nested, packed, absmax, a2, map, offset, expected=None):
        tensor, nk = lambda a: torch.from_numpy(np.array(a)), shape[0] * shape[1]
        # Rows of 8 take the library's scalar loop. Its AVX-512 loop wants whole blocks in a row.
        state = bnb.QuantState(tensor(absmax), torch.Size((nk // 8, 8)), None, b, kind, torch.float32)
        streams, scales = {"packed": packed, "absmax": absmax}, absmax
        if nested:
            state.nested, state.offset = True, tensor(offset)
            state.state2 = bnb.QuantState(tensor(a2), code=tensor(map), blocksize=256, dtype=torch.float32)
            streams |= {"nested_absmax": a2, "nested_quant_map": map, "nested_offset": offset}
            scales = map[absmax] * np.repeat(a2, 256)[: len(absmax)] + offset
        weights = bnb.dequantize_4bit(tensor(packed).reshape(-1, 1), state).numpy().reshape(shape)
        table = bnb.get_4bit_type(kind, device="cpu").numpy().copy()
        table[8] = -0.0 if kind == "fp4" else table[8]  # in the library's kernels, not in its table
        codes = np.stack([packed >> 4, packed & 15], 1).reshape(-1)
        same(weights, table[codes] * np.repeat(scales, b)[:nk], "table[q] * ((map[a8] * a2) + o)")
        same(weights, weights if expected is None else expected, "CPU and CUDA")
        file.add(set, weights, {} if b == 64 else {"b": b}, **streams)

    shapes = {"b64": (64, 9, 72), "b128": (128, 7, 136), "b256": (256, 5, 264), "b512": (512, 3, 520),
              "b1024": (1024, 3, 1032), "b2048": (2048, 3, 1000), "b4096": (4096, 7, 600), "short_rows": (256, 9, 64)}
    with np.errstate(all="ignore"):
        for kind, nested in (("nf4", False), ("fp4", False), ("nf4", True), ("fp4", True)):
            file = File(kind + "_nested" * nested)
            for b in (64, 128):  # a tensor quantized on CUDA, whole (NF4) or its first rows
                key = f"q.{kind}.bs{b}" + ".nested" * nested
                if key + ".weight" in cuda:
                    get = lambda part: cuda.get(f"{key}.{part}")
                    n = 64 if key == "q.nf4.bs64" else 16
                    add(file, "trained" if b == 64 else f"trained_b{b}", kind, b, (n, 256), nested,
                        get("weight")[: n * 128], get("absmax")[: n * 256 // b], get("nested_absmax"),
                        get("nested_quant_map"), get("nested_offset"), get("dequantized_f32")[: n * 256])
            if kind == "nf4" and nested:  # the first rows of a layer as checkpoints store it
                key, rows = "linear4bit.weight", 16
                state = json.loads(bytes(cuda[f"{key}.quant_state.bitsandbytes__nf4"]))
                add(file, "linear4bit", kind, 64, (rows, 384), True, cuda[key].reshape(-1)[: rows * 192],
                    cuda[f"{key}.absmax"][: rows * 6], cuda[f"{key}.nested_absmax"][:1],
                    cuda[f"{key}.nested_quant_map"], np.array([state["nested_offset"]], "f4"))
                same(file.tensors["linear4bit.weights"].astype("f2"), cuda["linear4bit.dequantized_f16"][:rows], key)
            for set, (b, n, k) in shapes.items():
                x = file.random.standard_normal((n, k)).astype("f4") * np.float32(0.05)
                x.reshape(-1)[:b] *= set == "short_rows"  # one block of zeros
                q, state = bnb.quantize_4bit(torch.from_numpy(x), None, None, b, nested, kind)
                two = state.state2
                rest = (two.absmax.numpy(), two.code.numpy(), state.offset.numpy().reshape(1)) if nested else (None,) * 3
                add(file, set, kind, b, (n, k), nested, q.numpy().reshape(-1), state.absmax.numpy(), *rest)
            for set, scales in (("random", None), ("edge_scales", F32_EDGES), ("nonfinite_scales", NONFINITE.astype("f4"))):
                blocks = 264 if nested and scales is None else 8  # every byte of absmax
                packed = file.random.integers(0, 256, blocks * 32).astype("u1")
                packed[:8] = [0x01, 0x23, 0x45, 0x67, 0x89, 0xAB, 0xCD, 0xEF]
                if not nested:
                    absmax = file.random.random(blocks).astype("f4") if scales is None else np.resize(scales, 8)
                    add(file, set, kind, 64, (blocks, 64), False, packed, absmax, None, None, None)
                elif scales is None:
                    map = file.random.standard_normal(256).astype("f4")  # not the map that the library makes
                    absmax = np.concatenate([np.arange(256), np.arange(8)]).astype("u1")
                    add(file, set, kind, 64, (blocks, 64), True, packed, absmax,
                        np.array([0.7, 3.1], "f4"), map, np.array([-0.3], "f4"))
                else:
                    add(file, set, kind, 64, (8, 64), True, packed, np.arange(8, dtype="u1"),
                        np.array([1], "f4"), np.resize(scales, 256), np.array([0], "f4"))
                    a2, o = (F32_EDGES[4], 0) if set == "edge_scales" else (np.inf, 1)
                    add(file, set + "_nested", kind, 64, (8, 64), True, packed, np.arange(124, 132, dtype="u1"),
                        np.array([a2], "f4"), bnb.create_dynamic_map().numpy(), np.array([o], "f4"))
            file.save()

    file = File("bnb_int8")
    for set, n, k, scb in (("quantized", 24, 136, None), ("random", 16, 256, file.random.random(16) * 9),
                           ("edge_scales", 8, 256, F32_EDGES), ("nonfinite_scales", 4, 256, NONFINITE)):
        q = np.stack([file.random.permutation(256) for _ in range(n)]).astype("u1").view("i1")[:, :k]
        if scb is None:
            x = torch.from_numpy(file.random.standard_normal((n, k)).astype("f2"))
            q, scb, _ = (t if t is None else t.numpy() for t in bnb.int8_vectorwise_quant(x))
        q, scb = np.ascontiguousarray(q), scb.astype("f4")
        weights = bnb.int8_vectorwise_dequant(torch.from_numpy(q), torch.from_numpy(scb)).numpy()
        with np.errstate(all="ignore"):
            same(weights, (q.astype("f4") * scb[:, None]) * np.float32(0.007874015718698502), "(q * scb) * (1 / 127)")
        file.add(set, weights, weight=q, scb=scb)
    file.save()


def integer_sets(random, without=()):
    """Set, n, k, group size and scales (f16 [groups, n]) of the integer formats."""
    edges = {"edge_scales": np.append(F16_EDGES, np.float16(3e-6)), "nonfinite_scales": NONFINITE.astype("f2")}
    for set, n, k, g in (("g32", 64, 64, 32), ("g64", 32, 128, 64), ("g128", 32, 256, 128), ("row", 32, 96, 96),
                         ("edge_zeros", 32, 64, 32), ("edge_scales", 32, 64, 32), ("nonfinite_scales", 32, 64, 32)):
        if set not in without:
            scales = (random.random((k // g, n)) * 0.02 + 1e-3) * random.choice([1, 1, 1, -1], (k // g, n))
            yield set, n, k, g, np.resize(edges[set], scales.shape) if set in edges else scales.astype("f2")


def gptq():
    """Packed and dequantized by auto-gptq (v1) and gptqmodel (v2, masked), which must pack alike."""
    from gptqmodel.nn_modules.qlinear.torch import TorchLinear
    from gptqmodel.utils.model_dequant import _correct_gptq_v1_qzeros

    folder = "auto_gptq-0.7.1/auto_gptq/nn_modules/qlinear/"
    v1, masking = (module(folder + name, name[:-3]).QuantLinear for name in ("qlinear_cuda.py", "qlinear_cuda_old.py"))

    def multiplied(layer, k):  # the weights that its forward pass gives to torch.matmul
        real, seen = torch.matmul, []
        torch.matmul = lambda x, w: seen.append(w) or real(x, w)
        try:
            layer(torch.zeros((1, k), dtype=torch.float16))
        finally:
            torch.matmul = real
        return seen[0]

    for b in (2, 3, 4, 8):
        for name in ("gptq", "gptq_v2", "gptq_masked", "gptq_act_order", "gptq_act_order_v2"):
            file, act_order, masked = File(f"{name}_b{b}"), "act_order" in name, name == "gptq_masked"
            for set, n, k, g, scales in integer_sets(file.random, () if name == "gptq" else ("nonfinite_scales",)):
                q = file.random.integers(0, 2**b, (n, k))
                stored = file.random.integers(0, 2**b, (k // g, n))
                if set == "edge_zeros":
                    stored[0], stored[1] = 2**b - 1, 0
                g_idx = np.arange(k) // g
                if act_order:
                    g_idx = file.random.permutation(g_idx)
                zero = stored if name.endswith("v2") else (stored + 1) & (2**b - 1) if masked else stored + 1

                def packed(layer, stored_plus):  # with scales of 1, so that the codes are exact
                    linear = torch.nn.Linear(k, n, bias=False)
                    linear.weight.data = torch.from_numpy((q - stored_plus[g_idx].T).astype("f4"))
                    layer.pack(linear, torch.ones((n, k // g)), torch.from_numpy(stored_plus.T.astype("f4").copy()),
                               torch.from_numpy(g_idx.astype("i4")))
                    layer.scales = torch.from_numpy(scales.copy())
                    return layer

                a = packed(v1(b, g, k, n, False), stored + 1)
                m = packed(TorchLinear(b, g, True, act_order, k, n, False, register_buffers=True).eval(), stored)
                assert torch.equal(a.qweight, m.qweight) and torch.equal(a.qzeros, m.qzeros), (name, b, set)
                qzeros = a.qzeros.numpy().copy()
                if masked:
                    m.qzeros = _correct_gptq_v1_qzeros(m.qzeros, b)
                    if b != 3:  # its 3-bit branch does not mask
                        other = packed(masking(b, g, k, n, False), stored + 1)
                        same(multiplied(other, k), m.dequantize_weight(), "auto-gptq and gptqmodel")
                weights = m.dequantize_weight() if masked or name.endswith("v2") else multiplied(a, k)
                assert weights.dtype == torch.float16
                weights = weights.numpy().T.astype("f4")
                with np.errstate(all="ignore"):
                    product = scales[g_idx].T.astype("f4") * (q - zero[g_idx].T).astype("f4")
                    same(weights, product.astype("f2"), "f16(s * (q - z))")
                streams = {"qweight": a.qweight.numpy(), "qzeros": qzeros, "scales": scales}
                if act_order:
                    streams["g_idx"] = g_idx.astype("i4")
                file.add(set, weights, {} if g == 128 else {"g": g}, **streams)
            file.save()


def awq():
    for name in ("awq", "awq.modules", "awq.modules.linear", "awq.utils"):  # packages without their __init__
        sys.modules[name] = types.ModuleType(name)
        sys.modules[name].__path__ = [str(SOURCES / "autoawq-0.2.9" / name.replace(".", "/"))]
    from awq.modules.linear.gemm import WQLinear_GEMM
    from awq.utils.packing_utils import dequantize_gemm

    file = File("awq")
    for set, n, k, g, scales in integer_sets(file.random):
        q, zero = file.random.integers(0, 16, (n, k)), file.random.integers(0, 16, (k // g, n))
        if set == "edge_zeros":
            zero[0], zero[1] = 15, 0
        spread = np.repeat(zero, g, 0).T
        linear = torch.nn.Linear(k, n, bias=False)
        linear.weight.data = torch.from_numpy((q - spread).astype("f4"))
        ones = torch.ones((k // g, n))
        layer = WQLinear_GEMM.from_linear(linear, 4, g, False, ones, torch.from_numpy(zero.astype("f4")))
        weights = dequantize_gemm(layer.qweight, layer.qzeros, torch.from_numpy(scales.copy()), 4, g).numpy().T
        assert weights.dtype == np.float16
        with np.errstate(all="ignore"):
            product = (q - spread).astype("f4") * np.repeat(scales, g, 0).T.astype("f4")
            same(weights, product.astype("f2"), "f16((q - z) * s)")
        file.add(set, weights, {} if g == 128 else {"g": g}, qweight=layer.qweight.numpy(), qzeros=layer.qzeros.numpy(), scales=scales)
    file.save()


if __name__ == "__main__":
    bitsandbytes()
    gptq()
    awq()
