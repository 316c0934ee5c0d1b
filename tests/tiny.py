"""Models of the real classes, small enough to build in a second; weights are random but trained
adapters are not zero, since a zero adapter hides every mistake."""

from pathlib import Path

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    EulerDiscreteScheduler,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    PreTrainedTokenizerFast,
)

from loop_studio.diffusion.adapters import LoraShape
from loop_studio.diffusion.conditioning import TextEncoder
from loop_studio.diffusion.policy import StableDiffusionPolicy
from loop_studio.diffusion.transition import NoiseSchedule

SHAPE = LoraShape(rank=4, alpha=8.0, targets="all")
SCHEDULE = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "steps_offset": 1,
    "set_alpha_to_one": False,
    "clip_sample": False,
    "timestep_spacing": "leading",
}

TEXT = CLIPTextConfig(
    vocab_size=258,
    hidden_size=32,
    intermediate_size=37,
    num_attention_heads=4,
    num_hidden_layers=2,
    max_position_embeddings=24,
    projection_dim=32,
    bos_token_id=0,
    eos_token_id=1,
    pad_token_id=1,
)


def tokenizer() -> PreTrainedTokenizerFast:
    vocabulary = {"<|startoftext|>": 0, "<|endoftext|>": 1}
    vocabulary |= {
        byte: i + 2 for i, byte in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))
    }
    built = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    built.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    built.post_processor = processors.TemplateProcessing(
        single="<|startoftext|> $A <|endoftext|>",
        special_tokens=[("<|startoftext|>", 0), ("<|endoftext|>", 1)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=built,
        bos_token="<|startoftext|>",
        eos_token="<|endoftext|>",
        pad_token="<|endoftext|>",
        model_max_length=24,
    )


def modules(
    sample_size: int = 8, seed: int = 0
) -> tuple[UNet2DConditionModel, AutoencoderKL, CLIPTextModel]:
    """UNet, VAE and text encoder with random weights; the global generator is left alone."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        unet = UNet2DConditionModel(
            sample_size=sample_size,
            block_out_channels=(16, 32),
            layers_per_block=1,
            norm_num_groups=8,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
            cross_attention_dim=32,
            attention_head_dim=4,
        )
        vae = AutoencoderKL(
            block_out_channels=(8, 8, 8),
            down_block_types=("DownEncoderBlock2D",) * 3,
            up_block_types=("UpDecoderBlock2D",) * 3,
            norm_num_groups=4,
            latent_channels=4,
            mid_block_add_attention=False,
        )
        text = CLIPTextModel(TEXT)
    return unet, vae, text


def policy(
    *,
    prediction_type: str = "epsilon",
    shape: LoraShape = SHAPE,
    dtype: torch.dtype = torch.float32,
    sample_size: int = 8,
    seed: int = 0,
    trained: bool = True,
) -> StableDiffusionPolicy:
    """A tiny Stable Diffusion; `trained` gives every adapter its own non-zero weights."""
    unet, vae, text = modules(sample_size, seed)
    built = StableDiffusionPolicy(
        unet=unet.to(dtype),
        vae=vae.to(dtype),
        conditioner=TextEncoder(tokenizer(), text.to(dtype), dtype),
        schedule=NoiseSchedule({**SCHEDULE, "prediction_type": prediction_type}),
        shape=shape,
    )
    if trained:
        for number, slot in enumerate(("live", "learner", "archive")):
            stir(built, slot, seed=100 + number)
    return built


def stir(built: StableDiffusionPolicy, slot: str, *, seed: int, size: float = 0.1) -> None:
    """Give an adapter non-zero weights, as training would."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in built.adapters.parameters(slot).values():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * size)


def save_folder(folder: Path, prediction_type: str = "epsilon") -> Path:
    """A tiny Stable Diffusion as the folder that `from_pretrained` reads."""
    unet, vae, text = modules()
    StableDiffusionPipeline(
        unet=unet,
        vae=vae,
        text_encoder=text,
        tokenizer=tokenizer(),
        scheduler=DDIMScheduler.from_config({**SCHEDULE, "prediction_type": prediction_type}),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(folder)
    return folder


def xl_pipeline(*, zero_negative: bool = True, seed: int = 0) -> StableDiffusionXLPipeline:
    """A tiny SDXL with random weights and, as the real one, a scheduler that is not DDIM's."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        unet = UNet2DConditionModel(
            sample_size=8,
            block_out_channels=(16, 32),
            layers_per_block=1,
            norm_num_groups=8,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
            transformer_layers_per_block=(1, 2),
            attention_head_dim=(2, 4),
            use_linear_projection=True,
            addition_embed_type="text_time",
            addition_time_embed_dim=8,
            projection_class_embeddings_input_dim=6 * 8 + 32,
            cross_attention_dim=64,
        )
        _, vae, text = modules(seed=seed)
        second = CLIPTextModelWithProjection(TEXT)
    return StableDiffusionXLPipeline(
        unet=unet,
        vae=vae,
        text_encoder=text,
        text_encoder_2=second,
        tokenizer=tokenizer(),
        tokenizer_2=tokenizer(),
        scheduler=EulerDiscreteScheduler.from_config(SCHEDULE),
        force_zeros_for_empty_prompt=zero_negative,
        add_watermarker=False,
    )
