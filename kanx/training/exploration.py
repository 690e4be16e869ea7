"""More minima of a network of fixed shape, where the first ones are not near the data."""

from __future__ import annotations

from kanx.training.depth import deepened
from kanx.training.noise_free_search import LOW, NEAR, NoiseFree, Search, different

MORE_STARTS, FIRST_OF_THEM = 16, 100
BRANCHES = 8  # of the starts that are gone on with
MIDDLE, TEAM = 15, 2  # degree up to which they are compared, and how many go on from there


def explore(search: Search, found: list[NoiseFree]) -> None:
    """Go on with a search that ended in minima too far from the data.

    The error at a low degree says little about that at a high one. So many starts are drawn:
    random ones, and where there are several hidden layers also those that pass a shallower fit
    on. They race to a middle degree, where one is left as soon as an earlier one was clearly nearer
    at the same degree. The nearest few go on to high degrees.

    Parameters
    ----------
    search : Search
        What is met is added to it.
    found : list of NoiseFree
        Starts at a low degree that were not gone on with so far.
    """
    more = []
    for k in range(MORE_STARTS):
        more.append(search.fit(search.random(LOW, FIRST_OF_THEM + k)))
        if search.stop():
            return
    starts = different([*found, *deepened(search), *more])
    ends = []
    for start in starts[:BRANCHES]:
        ends.append(search.follow(start, MIDDLE, race=True))
        if search.best.error < NEAR or search.stop():
            break
    for end in different(ends)[:TEAM]:
        if not search.stop():
            search.follow(end, race=True)
