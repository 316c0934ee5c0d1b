"""Stable Diffusion as a policy: sampling, replay, adapters, and their bytes. Writes no file."""
