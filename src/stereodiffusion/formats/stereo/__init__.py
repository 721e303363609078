"""Files that hold both eyes.

mpo       the file of 3D cameras                            wiggle     GIF and WebP animation
"""
