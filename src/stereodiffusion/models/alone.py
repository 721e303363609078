"""Models are loaded one at a time.

Libraries change settings of the whole process while they load, such as torch's default dtype and where parameters are
made, and set them back afterwards: two threads at once would leave them as neither found them.
"""

from threading import RLock

LOADING = RLock()
"""Held while a model is loaded."""
