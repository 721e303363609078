"""Whether a map, by its size, can be one of the whole of a photo."""

from math import log

_PATCHES = (14, 16, 32)
"""To multiples of what depth networks round the sides of a picture."""

_MOST_ROUNDED = 0.1  # of the logarithm of the aspect: the roundings of small maps would let any shape pass


def shows_whole(map_size: tuple[int, int], photo_size: tuple[int, int]) -> bool:
    """Whether a map of one size can show the whole of a photo of another, both (height, width).

    It can if it has the photo's aspect to within a row, or if both its sides are multiples of the patch of a depth
    network and those of the scaled photo lie within half a patch of them: networks round so.
    """
    (rows, columns), (height, width) = map_size, photo_size
    if abs(rows * width / columns - height) <= 1 + height / rows:
        return True
    if abs(log(rows * width / (columns * height))) > _MOST_ROUNDED:
        return False
    for patch in _PATCHES:
        smallest = max((side - patch / 2) / of for side, of in ((rows, height), (columns, width)))
        largest = min((side + patch / 2) / of for side, of in ((rows, height), (columns, width)))
        if rows % patch == columns % patch == 0 and smallest <= largest:
            return True
    return False
