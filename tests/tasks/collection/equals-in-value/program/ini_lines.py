"""Settings as lines of `name = value`, with # for remarks."""


def settings_of(text: str) -> dict[str, str]:
    """The values by name, later ones first. Raises ValueError with the number of a bad line."""
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        bare = line.strip()
        if not bare or bare.startswith("#"):
            continue
        if "=" not in bare:
            raise ValueError(f"line {number} has no equals sign")
        name, value = bare.split("=")
        found[name.strip()] = value.strip()
    return found
