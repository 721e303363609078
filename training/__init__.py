"""How the embedded model ``toybox`` is made; not part of the installed package."""
