"""LOOP: leave-one-out PPO on denoising trajectories. Torch only; reads and writes nothing.

Letters for shapes: G groups, J judgements of a group, k images of a group, S stored denoising
steps, B transitions of a micro-batch, D elements of one latent (C x H x W).
"""
