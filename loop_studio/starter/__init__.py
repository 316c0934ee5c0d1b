"""The small world that ships with the studio: its pictures, its model, its readers.

Imports nothing: the web process reads `prompts`, `words` and `paths` without torch.
"""
