"""Write `tests/data/whisper_goldens.npz`: log-mel and layer 2 by Hugging Face's Whisper, with the weights that we ship.

    pip install transformers==4.57.1 && python scripts/dev/make_whisper_goldens.py

The sound is 0.8 s of a chirp with pauses and a little noise, made here. The encoder is cut to two layers and to as many
positions as the sound has steps, since it refuses any other length.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from transformers import WhisperConfig
from transformers.audio_utils import mel_filter_bank, spectrogram, window_function
from transformers.models.whisper.modeling_whisper import WhisperEncoder

ROOT = Path(__file__).parents[2]
OUT = ROOT / "tests" / "data" / "whisper_goldens.npz"
CEILING = 1.0


def sound() -> np.ndarray:
    times = np.arange(12_800) / 16_000
    chirp = np.sin(2 * np.pi * (120 * times + 2000 * times**2)) * (0.5 + 0.5 * np.sign(np.sin(2 * np.pi * 3.1 * times)))
    return (0.3 * chirp + 0.01 * np.random.default_rng(0).standard_normal(len(times))).astype(np.float32)


def encoder(steps: int) -> WhisperEncoder:
    config = WhisperConfig(d_model=384, encoder_layers=2, encoder_attention_heads=6, encoder_ffn_dim=1536,
                           num_mel_bins=80, max_source_positions=steps)  # fmt: skip
    network = WhisperEncoder(config).eval()
    file = load_file(ROOT / "magictalk_core" / "speech" / "whisper_tiny_en_l2.safetensors")
    state = {}
    for name, value in file.items():
        if f"{name}.scale" in file:
            value = value.float() * file[f"{name}.scale"].float().reshape(-1, *[1] * (value.dim() - 1))
        if not name.endswith(".scale"):
            state[name] = value.float()
    theirs = {
        "norm_1": "self_attn_layer_norm",
        "norm_2": "final_layer_norm",
        "out": "self_attn.out_proj",
        "wide": "fc1",
        "narrow": "fc2",
    }
    wanted = {name: value for name, value in state.items() if name.startswith("conv")}
    for name, value in state.items():
        if not name.startswith("layers"):
            continue
        _, layer, module, part = name.split(".")
        if module == "qkv":
            for short, piece in zip("qkv", value.chunk(3), strict=True):
                wanted[f"layers.{layer}.self_attn.{short}_proj.{part}"] = piece
        else:
            wanted[f"layers.{layer}.{theirs[module]}.{part}"] = value
    assert not any(wanted.pop(f"layers.{layer}.self_attn.k_proj.bias").any() for layer in range(2))
    missing = network.load_state_dict(wanted, strict=False)
    assert (
        set(missing.missing_keys) == {"embed_positions.weight", "layer_norm.weight", "layer_norm.bias"}
        and not missing.unexpected_keys
    ), missing
    network.layer_norm = torch.nn.Identity()  # layer 2 as it leaves the layer; hidden_states ends behind this one
    return network


def main() -> None:
    samples = sound()
    filters = mel_filter_bank(201, 80, 0.0, 8000.0, 16_000, norm="slaney", mel_scale="slaney")
    log_mel = spectrogram(
        samples, window_function(400, "hann"), 400, 160, power=2.0, mel_filters=filters, log_mel="log10"
    )[:, :-1]
    scaled = (np.maximum(log_mel, CEILING - 8.0) + 4.0) / 4.0
    with torch.inference_mode():
        found = encoder(log_mel.shape[1] // 2)(torch.from_numpy(scaled[None]).float(), output_hidden_states=True)
    np.savez_compressed(
        OUT, samples=samples, log_mel=log_mel.T.astype(np.float32), steps=found.hidden_states[2][0].numpy()
    )
    print(OUT, OUT.stat().st_size, log_mel.shape, found.hidden_states[2].shape)


if __name__ == "__main__":
    main()
