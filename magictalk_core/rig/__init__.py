"""ARKit blendshape rigs: the built-in one, its renderer, and reading and writing rigs."""
