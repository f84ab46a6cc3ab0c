"""Properties of readers of foreign text, tried on made-up input for as long as one likes.

A target is a module of this package that has `PROPERTIES`; nothing else needs to name it.
"""
