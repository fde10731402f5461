"""Files of claims: found through the hook `inferbench_claims`, read along `ClaimFile`."""

from __future__ import annotations

import inferbench as ib
from inferbench_claims.records import ClaimFile

__all__ = ["claim_sets", "read_claims"]


def claim_sets(registry: ib.Registry) -> dict[str, ClaimFile]:
    """Read every installed set of claims, by the name of its file.

    Raises:
        InferBenchError: With every fault of a file.
    """
    files = {name: registry.get("claims", name) for name in registry.names("claims")}
    return {name: read_claims(file.read_bytes(), file.name) for name, file in files.items()}


def read_claims(text: bytes, where: str) -> ClaimFile:
    """Read one file of claims.

    Args:
        text: The file.
        where: How messages call it.

    Raises:
        InferBenchError: With every fault of the file; an id that stands twice.
    """
    file = ib.read_spec(text, ClaimFile, where)
    ids = [claim.id for claim in file.claims]
    twice = sorted({one for one in ids if ids.count(one) > 1})
    remedy = "give each claim an id of its own"
    if twice:
        raise ib.InferBenchError(ib.Fault(f"{where}: {one}", "the id stands twice", remedy) for one in twice)
    return file
