"""Synthetic voices with the mouths that belong to them, and a linear readout from speech to mouth learned from them.

Nobody's voice or face was recorded for it: espeak-ng, flite and festival speak and say when each phone begins;
phonetics says what lips and jaw do; Whisper's first layers hear it as they hear people.
"""
