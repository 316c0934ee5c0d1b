"""People: Accounts and their roles, invitations, guest links, tokens."""

from __future__ import annotations

import gradio as gr

TITLE = "People"
PATH = "/people"


def build() -> None:
    """Place the page's components; static/ holds them."""
    gr.HTML(
        "<loop-nav page='people'></loop-nav><loop-people></loop-people>",
        js_on_load=None,
        apply_default_css=False,
    )
