"""LOOP Studio: teach a text-to-image diffusion model what people like, while they use it."""

__version__ = "0.1.0"
