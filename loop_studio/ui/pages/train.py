"""Train: Fine-tune now, watch it happen, see what each version gained."""

from __future__ import annotations

import gradio as gr

TITLE = "Train"
PATH = "/train"


def build() -> None:
    """Place the page's components; static/ holds them."""
    gr.HTML(
        "<loop-nav page='train'></loop-nav><loop-guard></loop-guard><loop-train></loop-train>",
        js_on_load=None,
        apply_default_css=False,
    )
