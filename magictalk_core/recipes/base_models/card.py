"""The card that is shipped with `magictalk-base`: what they are, what they were made from, figures, limits."""

from __future__ import annotations

from typing import Any

from magictalk_core.storage.markdown import markdown_table

__all__ = ["card"]

_TEXT = """# magictalk-base {version}

The models that `magictalk animate` uses where a workspace has none: EmoDiff with styles for MEAD's eight emotions, Audio2BS (a linear
readout) and the emotional residue; and a sync expert that finds late sound. They hear voices through
[`whisper-tiny-en-l2`](../../../speech/whisper_tiny_en_l2.md).

* **Made from** {minutes} minutes of synthetic speech (espeak-ng, flite, festival) and faces that move by written rules. Nobody's video, voice
  or motion is in them. Two things in the rules were set with measurements of real mouths in view: how far jaws move in the mean, and which
  vowels open more than which.
* **Cost**: 6 minutes of one core.
* **Made by** `python -m magictalk_core.recipes.base_models --out DIR`; every file is safetensors or JSON, weights are in half precision.
* **Licence**: Apache-2.0, as the project. The speech feature before them is OpenAI's, MIT.
* **Styles**: `happy_1`, `happy_2`, `happy_3` and likewise angry, contempt, disgusted, fear, sad, surprised; `neutral_1`. An emotion's name
  means its fullest; `--intensity` goes down to neutral.

## Figures

On voices that no model learned from, against the curves of the rules (synthetic; for real people see
[real voices](../../../../docs/real_voices.md)):

{figures}

`jaw_r`, `lips_r`: correlation; `jaw_std`: how far the jaw moves over how far it should; `bilabial_auc`, `labiodental_auc`: lips nearer there
than in other speech; `rest`: mean jaw in silence; `blinks`: a minute; `level`, `movement`: share of motions in which a classifier sees the
emotion that was asked for, from the face as it is and from its movement alone, beside the same of the rules' own curves (`true_`; chance
is 0.125); `intensity`: least rank correlation of the asked with the seen one.

`sync_expert` finds clips whose sound is late or early (`training_set.sync_gate` of the preset `base`). On the same voices, their mouths
disturbed until they follow the rules as loosely as tracked people do, {sync_clips} sentences of about 3 s: {false_alarms} of those in sync called
shifted, {found} of those moved by 10 frames found within 2 and moved back. Real people: [the expert's
page](../../sync_expert/README.md#the-expert-of-the-package).

## Limits

The faces are rules, not people: how emotions come and go, heads and brows are plausible and no more. English voices; mouths of other
languages are heard with English ears. They do not know who speaks: everybody moves alike.
"""  # noqa: E501


def card(measured: dict[str, Any]) -> str:
    """Markdown, of what `run_recipe` measured."""
    methods = measured["methods"]
    rows = [[name, *(f"{values[name]:.3f}" for values in methods.values())] for name in next(iter(methods.values()))]
    figures = "\n".join(markdown_table(["", *methods], rows))
    offsets = measured["offsets"]
    shares = {name: f"{100 * offsets[name]:.0f} %" for name in ("false_alarms", "found")}
    facts = {"sync_clips": offsets["clips"], **shares}
    facts |= {"version": measured["version"], "minutes": f"{measured['minutes']:.0f}", "figures": figures}
    return _TEXT.format(**facts)
