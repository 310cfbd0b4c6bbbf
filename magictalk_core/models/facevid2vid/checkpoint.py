"""Weights of others: the public layouts of face-vid2vid, read and written (reference/models.md 5.4).

`vox-256`: a torch archive with the groups `generator`, `kp_detector` and `he_estimator`, beside optimizers that are not
looked at. `sadtalker`: one flat safetensors file with `generator.` and `kp_extractor.`, beside networks of SadTalker's
own, and no estimator. Both end as our networks with our names. Files come from anywhere: only tensors are read, nothing
is unpickled, and how much a file may hold is bounded before it is opened.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from magictalk_core.errors import UserError
from magictalk_core.models.facevid2vid.config import FaceVid2VidNetworkConfig
from magictalk_core.models.facevid2vid.network import FaceVid2Vid
from magictalk_core.storage.atomic import atomic_path

__all__ = [
    "NETWORKS",
    "PublicCheckpoint",
    "PublicLayout",
    "network_from",
    "public_groups",
    "read_public",
    "write_public",
]

PublicLayout = Literal["vox-256", "sadtalker"]

NETWORKS = ("generator", "kp_detector", "he_estimator")
"""The networks of `FaceVid2Vid`, and the groups of a public file."""

_DISCRIMINATOR = "discriminator"
_SADTALKER = {"generator": "generator", "kp_extractor": "kp_detector", "he_estimator": "he_estimator"}
"""Prefix in SadTalker's file -> network."""

_PARTS_OF_GENERATOR = {"motion": "dense_motion_network", "appearance": "", "fusion": "", "decoder": "decoder"}
"""Part of our generator -> what the public names put in its place."""
_APPEARANCE = ("first", "down_blocks", "second", "resblocks_3d")
_FUSION = ("third", "fourth")
_PLAIN_DECODER = ("resblocks_2d", "up_blocks", "final")

_MAX_BYTES = 4 << 30
"""The public file with its optimizers is about 2.2 GB."""

_NEXT = "docs/neural_renderer.md says which files fit and where they come from"


@dataclass(frozen=True, eq=False)
class PublicCheckpoint:
    """A public file that was read: the shape of its networks, and their weights under our names, float32.

    `weights` has no `he_estimator.` where the file brings none. `discriminator`: that group as it is, empty if absent.
    """

    path: Path
    layout: PublicLayout
    config: FaceVid2VidNetworkConfig
    weights: Mapping[str, Tensor]
    discriminator: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def has_estimator(self) -> bool:
        return any(name.startswith("he_estimator.") for name in self.weights)


def read_public(path: Path, shape: FaceVid2VidNetworkConfig | None = None) -> PublicCheckpoint:
    """`shape`: of a file that holds other networks than the public ones, as `write_public` makes of small ones.

    Raises `UserError` for a file that is missing, too large, damaged, or not of these networks.
    """
    layout, groups = _read_groups(path)
    missing = [name for name in NETWORKS[:2] if name not in groups]
    if missing or (layout == "vox-256" and "he_estimator" not in groups):
        wanted = " and ".join(NETWORKS if layout == "vox-256" else ("generator", "kp_extractor"))
        found = ", ".join(sorted(groups)) or "none of them"
        raise UserError(f"{path}: no face-vid2vid checkpoint: expected tensors of {wanted}, found {found}: {_NEXT}")
    config = shape or _shape_of(path, groups)
    weights: dict[str, Tensor] = {}
    for group in NETWORKS:
        for name, value in groups.get(group, {}).items():
            own = _own_name(name) if group == "generator" else name
            weights[f"{group}.{own}"] = _checked(path, f"{group}.{name}", value)
    _must_fit(path, config, weights)
    return PublicCheckpoint(path, layout, config, weights, groups.get(_DISCRIMINATOR, {}))


def network_from(checkpoint: PublicCheckpoint, estimator: PublicCheckpoint | None = None) -> FaceVid2Vid:
    """The networks with every weight of the file, those of `estimator` where it brings none. Raises `UserError`."""
    weights = dict(checkpoint.weights)
    brings = checkpoint if estimator is None else estimator
    if not brings.has_estimator:
        raise UserError(
            f"{brings.path}: has no he_estimator, which reads pose and expression off driving frames (SadTalker has a "
            "network of its own for that): name a .pth.tar that has one with --renderer-estimator FILE"
        )
    if brings.config.keypoints != checkpoint.config.keypoints:
        raise UserError(
            f"{brings.path}: an estimator of {brings.config.keypoints} keypoints does not fit the "
            f"{checkpoint.config.keypoints} of {checkpoint.path}: name another --renderer-estimator"
        )
    weights |= {name: value for name, value in brings.weights.items() if name.startswith("he_estimator.")}
    config = checkpoint.config.model_copy(update={"rotation": brings.config.rotation})
    with torch.device("meta"):
        network = FaceVid2Vid(config)
    network.load_state_dict(weights, strict=True, assign=True)
    return network


def public_groups(network: FaceVid2Vid) -> dict[str, dict[str, Tensor]]:
    """Group -> name -> tensor, as a public file has them; the tensors are the network's own."""
    groups = {group: dict(network.get_submodule(group).state_dict()) for group in NETWORKS}
    groups["generator"] = {_public_name(name): value for name, value in groups["generator"].items()}
    return groups


def write_public(network: FaceVid2Vid, path: Path, layout: PublicLayout = "vox-256") -> None:
    """Write the networks as others read them; of `sadtalker` without the estimator, as there."""
    groups = {
        group: {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
        for group, tensors in public_groups(network).items()
    }
    with atomic_path(path) as temporary:
        if layout == "vox-256":
            torch.save({**groups, "epoch": 0}, temporary)
        else:
            flat = {
                f"{prefix}.{name}": value
                for prefix, group in _SADTALKER.items()
                if group != "he_estimator"
                for name, value in groups[group].items()
            }
            save_file(flat, temporary)


def _public_name(name: str) -> str:
    part, _, rest = name.partition(".")
    if part == "decoder" and rest.partition(".")[0] in _PLAIN_DECODER:
        return rest
    public = _PARTS_OF_GENERATOR[part]
    return f"{public}.{rest}" if public else rest


def _own_name(name: str) -> str:
    part, _, rest = name.partition(".")
    if part == "dense_motion_network":
        return f"motion.{rest}"
    for ours, parts in (("appearance", _APPEARANCE), ("fusion", _FUSION), ("decoder", _PLAIN_DECODER)):
        if part in parts:
            return f"{ours}.{name}"
    return name


Groups = dict[str, dict[str, Tensor]]


def _read_groups(path: Path) -> tuple[PublicLayout, Groups]:
    if not path.is_file():
        raise UserError(f"{path}: no such file: {_NEXT}")
    size = path.stat().st_size
    if size > _MAX_BYTES:
        raise UserError(f"{path}: {size} bytes, expected at most {_MAX_BYTES}: no face-vid2vid checkpoint: {_NEXT}")
    if path.suffix == ".safetensors":
        return "sadtalker", _read_flat(path)
    if not zipfile.is_zipfile(path):
        raise UserError(
            f"{path}: neither .safetensors nor a whole torch archive ({size} bytes; cut off, or of torch before 1.6): "
            f"fetch it again; {_NEXT}"
        )
    return "vox-256", _read_archive(path)


def _read_flat(path: Path) -> Groups:
    groups: Groups = {}
    try:
        with safe_open(path, "pt") as file:
            for name in file.keys():
                prefix, _, rest = name.partition(".")
                if prefix in _SADTALKER:
                    groups.setdefault(_SADTALKER[prefix], {})[rest] = file.get_tensor(name)
    except (SafetensorError, OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read ({_said(error)}): fetch it again; {_NEXT}") from error
    return groups


def _read_archive(path: Path) -> Groups:
    try:
        with zipfile.ZipFile(path) as archive:
            # A compressed member could hold any amount, and a mapped one would be read as it lies; torch writes none.
            if any(one.compress_type != zipfile.ZIP_STORED for one in archive.infolist()):
                raise UserError(f"{path}: a compressed archive, which torch does not write: {_NEXT}")
        # Mapped, since two thirds of a public file are optimizers; what is used is copied.
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except UserError:
        raise
    except Exception as error:  # a reader of pickles raises whatever damaged bytes lead it to
        raise UserError(f"{path}: cannot be read as tensors alone ({_said(error)}): fetch it again; {_NEXT}") from error
    if not isinstance(content, Mapping):
        raise UserError(f"{path}: expected groups of tensors, found {type(content).__name__}: {_NEXT}")
    groups: Groups = {}
    for group in (*NETWORKS, _DISCRIMINATOR):
        tensors = content.get(group)
        if isinstance(tensors, Mapping) and all(isinstance(value, Tensor) for value in tensors.values()):
            groups[group] = {str(name): value for name, value in tensors.items()}
    return groups


def _said(error: Exception) -> str:
    return " ".join(str(error).split())[:160] or type(error).__name__


def _shape_of(path: Path, groups: Groups) -> FaceVid2VidNetworkConfig:
    """What a file of these networks says of its own shape. Public files differ in decoder, keypoints and detector."""
    generator, detector = groups["generator"], groups["kp_detector"]
    asked: dict[str, Any] = {"decoder": "spade" if "decoder.fc.weight" in generator else "plain"}
    keypoints = detector.get("kp.weight")
    if keypoints is not None and keypoints.ndim == 5:
        asked["keypoints"] = len(keypoints)
    if "down.weight" not in detector:
        # The beta weights look at the whole picture, and were trained with other axes.
        asked |= {"detector_shrink": 1, "rotation": "roll_pitch_yaw"}
    try:
        return FaceVid2VidNetworkConfig(**asked)
    except ValidationError as error:
        raise UserError(f"{path}: {_said(error)}: {_NEXT}") from error


def _checked(path: Path, name: str, value: Tensor) -> Tensor:
    """A copy, float32 or whole numbers. Raises `UserError` for what is no weight."""
    if value.is_sparse or value.is_complex() or value.is_quantized:
        raise UserError(f"{path}: {name} is no plain tensor ({value.layout}, {value.dtype}): {_NEXT}")
    if not value.is_floating_point():
        return value.clone(memory_format=torch.contiguous_format)
    if not bool(torch.isfinite(value).all()):
        raise UserError(f"{path}: {name} holds values that are no numbers: fetch the file again; {_NEXT}")
    return value.to(torch.float32, copy=True).contiguous()


def _must_fit(path: Path, config: FaceVid2VidNetworkConfig, weights: Mapping[str, Tensor]) -> None:
    """Every tensor of the networks, none beside them, each in its shape. Raises `UserError`."""
    with torch.device("meta"):
        expected = {name: tuple(value.shape) for name, value in FaceVid2Vid(config).state_dict().items()}
    if not any(name.startswith("he_estimator.") for name in weights):
        expected = {name: shape for name, shape in expected.items() if not name.startswith("he_estimator.")}
    found = {name: tuple(value.shape) for name, value in weights.items()}
    troubles = [f"{name} is missing" for name in expected.keys() - found.keys()]
    troubles += [f"{name} is not one of theirs" for name in found.keys() - expected.keys()]
    troubles += [
        f"{name} is {found[name]}, expected {shape}"
        for name, shape in expected.items()
        if name in found and found[name] != shape
    ]
    if troubles:
        first = "; ".join(sorted(troubles)[:3])
        more = f" and {len(troubles) - 3} more" if len(troubles) > 3 else ""
        raise UserError(f"{path}: not the networks of vox-256 with {config.decoder} decoder: {first}{more}: {_NEXT}")
