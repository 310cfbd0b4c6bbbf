"""The shipped models `magictalk-base`, from nothing: synthetic voices, faces that move by rules, training, packing.

Nobody's voice or face was recorded for them. No video is rendered and tracked: the rules' own curves are learned.
"""
