"""Letters go out in batches."""

from collections.abc import Iterable, Iterator


def batches(addresses: Iterable[str], size: int) -> Iterator[list[str]]:
    """The addresses in their order, `size` at a time; the last batch has what is left."""
    batch: list[str] = []
    for address in addresses:
        batch.append(address)
        if len(batch) == size:
            yield batch
            batch = []
    if len(batch) == size:
        yield batch
