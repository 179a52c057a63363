"""A catalogue with what follows from it alone and is kept ready for all decisions."""

from __future__ import annotations

from router_service.candidates import Candidates
from router_service.catalog import Catalog
from router_service.domain import Word
from router_service.standings import Standings


class Ground(Word, frozen=True):
    """What decisions stand on; a new catalogue is a new ground."""

    catalog: Catalog
    standings: Standings
    candidates: Candidates


def ground_of(catalog: Catalog) -> Ground:
    """The ground that a catalogue gives."""
    return Ground(catalog, Standings(catalog), Candidates(catalog))
