"""Models: which are known, where their files come from, what is checked of them, and how they are loaded.

`cards` and `hub` load neither torch nor diffusers, for requests ask them what a model's name means.
"""
