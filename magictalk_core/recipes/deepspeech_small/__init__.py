"""How `deepspeech_small.safetensors` was made: generated sentences, synthetic voices, spoilt recordings, CTC training.

`python -m magictalk_core.recipes.deepspeech_small --out DIR` runs all of it. Nothing here is needed to use the weights.
"""
