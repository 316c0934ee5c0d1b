"""Data: what the studio keeps, its backups, who changed what, and a person's data removed."""

from __future__ import annotations

import gradio as gr

TITLE = "Data"
PATH = "/data"


def build() -> None:
    """Place the page's components; static/ holds them."""
    gr.HTML(
        "<loop-nav page='data'></loop-nav><loop-data></loop-data>",
        js_on_load=None,
        apply_default_css=False,
    )
