"""EmoDiff: speech and an emotional style to motion, by diffusion over ARKit coefficients (paper, section 3.2)."""
