"""The web server: the JSON API, sign-in, and the pages. No torch, no diffusers, no jobs."""
