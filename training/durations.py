"""Times as people say them."""

_UNITS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))


def spell_duration(seconds):
    """Spell a time in its two largest units.

    Parameters
    ----------
    seconds : float [s]

    Returns
    -------
    str
        For example ``"2 d 4 h"``, ``"1 h 5 min"``, ``"42 s"``.
    """
    rest, words = round(seconds), []
    for unit, size in _UNITS:
        count, rest = divmod(rest, size)
        if words or count:
            words.append(f"{count} {unit}")
    return " ".join([word for word in words[:2] if not word.startswith("0 ")]) or "0 s"
