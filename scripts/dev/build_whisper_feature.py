"""Build `magictalk_core/speech/whisper_tiny_en_l2.safetensors`: Whisper tiny.en's first layers with weights of 8 bits.

    python scripts/dev/build_whisper_feature.py tiny.en.pt
    python scripts/dev/build_whisper_feature.py whisper_tiny_en_encoder_2_layers_fp16.safetensors

Takes OpenAI's own checkpoint (https://openaipublic.azureedge.net/main/whisper/models/<sha256>/tiny.en.pt, whose name
holds its sha256) or the same layers as CTranslate2 stores them in half precision. Matrices and kernels become whole
numbers from -127 to 127 with one scale per output channel; normalisations and biases stay in half precision. Prints how
far each matrix moved.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

OUT = Path(__file__).parents[2] / "magictalk_core" / "speech" / "whisper_tiny_en_l2.safetensors"
OFFICIAL = "d3dd57d32accea0b295c96e26691aa14d8822fac7d9d27d5dc00b4ca2826dd03"
CTRANSLATE2 = "b9d0fe5f05f93f37ace43efccb54c0065295a7ef9e18d8e9f69dbd87c71abaae"
"""sha256 of the two sources."""


def from_official(path: Path) -> dict[str, torch.Tensor]:
    """Our names of a checkpoint by OpenAI. Keys have no bias."""
    state = torch.load(path, map_location="cpu", weights_only=True)["model_state_dict"]
    found = {f"conv{n}.{part}": state[f"encoder.conv{n}.{part}"] for n in (1, 2) for part in ("weight", "bias")}
    names = {"attn_ln": "norm_1", "attn.out": "out", "mlp_ln": "norm_2", "mlp.0": "wide", "mlp.2": "narrow"}
    for layer in range(2):
        block = f"encoder.blocks.{layer}"
        query, key, value = (state[f"{block}.attn.{name}.weight"] for name in ("query", "key", "value"))
        biases = [state[f"{block}.attn.query.bias"], torch.zeros(len(key)), state[f"{block}.attn.value.bias"]]
        found[f"layers.{layer}.qkv.weight"], found[f"layers.{layer}.qkv.bias"] = (
            torch.cat([query, key, value]),
            torch.cat(biases),
        )
        for theirs, ours in names.items():
            found |= {f"layers.{layer}.{ours}.{part}": state[f"{block}.{theirs}.{part}"] for part in ("weight", "bias")}
    return found


def from_ctranslate2(path: Path) -> dict[str, torch.Tensor]:
    """Our names of the layers as CTranslate2 calls them."""
    names = {
        "self_attention.layer_norm": "norm_1", "self_attention.linear_0": "qkv", "self_attention.linear_1": "out",
        "ffn.layer_norm": "norm_2", "ffn.linear_0": "wide", "ffn.linear_1": "narrow",
    }  # fmt: skip
    parts = {"gamma": "weight", "beta": "bias", "weight": "weight", "bias": "bias"}
    found = {}
    for name, value in load_file(path).items():
        if name.startswith("conv"):
            found[name] = value
        elif name.startswith("layer_"):
            layer, _, rest = name.removeprefix("layer_").partition(".")
            module, _, part = rest.rpartition(".")
            found[f"layers.{layer}.{names[module]}.{parts[part]}"] = value
    return found


def quantized(value: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Whole numbers and the scale of each row; the scale is rounded to half precision first."""
    rows = value.float().flatten(1)
    scale = (rows.abs().amax(1) / 127).half()
    whole = (rows / scale.float()[:, None]).round().clamp(-127, 127).to(torch.int8)
    return whole.reshape(value.shape), scale


def main() -> None:
    source = Path(sys.argv[1])
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    readers = {OFFICIAL: from_official, CTRANSLATE2: from_ctranslate2}
    if digest not in readers:
        sys.exit(f"{source}: sha256 {digest}, expected one of {', '.join(readers)}")
    tensors = {}
    for name, value in sorted(readers[digest](source).items()):
        if value.dim() == 1:
            tensors[name] = value.half().contiguous()
            continue
        tensors[name], tensors[f"{name}.scale"] = quantized(value)
        moved = (
            tensors[name].float() * tensors[f"{name}.scale"].float().reshape(-1, *[1] * (value.dim() - 1))
            - value.float()
        )
        print(f"{name:28s} {tuple(value.shape)!s:18s} error {moved.norm() / value.float().norm():.4f} of the norm")
    about = {"source": "OpenAI Whisper tiny.en, encoder: convolutions and layers 1 and 2", "source_sha256": digest,
             "license": "MIT", "recipe": "scripts/dev/build_whisper_feature.py", "format": "pt"}  # fmt: skip
    save_file(tensors, OUT, metadata=about)
    print(f"{OUT}: {OUT.stat().st_size} bytes, sha256 {hashlib.sha256(OUT.read_bytes()).hexdigest()}")


if __name__ == "__main__":
    main()
