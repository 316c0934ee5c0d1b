"""The pages: one Gradio app with a route each, mounted at the studio's root.

One `gr.Blocks` with routes, not one per page: no redirect from `/rate` to `/rate/`, one script
bundle that the browser keeps from page to page, and every address below a sub-path is right.

A page places web components by constant strings and nothing else; they read and write the JSON
API themselves. No text that a person wrote ever passes through Gradio, because `gr.HTML`
evaluates `${...}` and `{{ ... }}` in its value as JavaScript.
"""

from __future__ import annotations

import warnings

import gradio as gr
from fastapi import FastAPI
from starlette.middleware import Middleware

from loop_studio.ui.pages import (
    account,
    compare,
    data,
    history,
    look,
    people,
    playground,
    projects,
    rate,
    rewards,
    settings,
    status,
    train,
    versions,
)
from loop_studio.ui.pages.gate import Gate

PAGES = (
    *(rate, history, train, versions, compare, playground, rewards, settings, projects),
    *(data, status, people, account),
)


def mount(app: FastAPI) -> None:
    """Mount every page on `app`; call it last, since it answers all paths not yet taken."""
    blocks = gr.Blocks(title="LOOP Studio", analytics_enabled=False)
    for page in PAGES:
        with blocks.route(page.TITLE, page.PATH, show_in_navbar=False):
            page.build()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "SSR mode is not supported")  # nor wanted
        gr.mount_gradio_app(
            app,
            blocks,
            path="/",
            app_kwargs={"middleware": [Middleware(Gate, pages=[page.PATH for page in PAGES])]},
            theme=look.theme(),
            head=look.head(),
            show_error=False,
            footer_links=[],
            run_history=False,
            max_file_size="1b",
            ssr_mode=False,
            pwa=False,
            mcp_server=False,
            enable_monitoring=False,
        )
