"""Several pictures in one.

sbs       side by side, cross-eyed, top-bottom              anaglyph   filter glasses
quilt     many views, for light-field displays
"""
