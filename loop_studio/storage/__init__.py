"""Everything that is kept: rows in a database, files in a folder. Alone in opening sessions.

Every function takes a `Database` first and returns detached rows or frozen dataclasses.
"""
