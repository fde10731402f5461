"""Fit a server's watts at the wall as `fixed + factor x watts of its boards`, and print the errors.

    python plugins/inferbench-power/tools/fit_wall.py

Rows of the table `wall_power` of inferbench-data: whole servers under MLPerf load with a power cap on each
GPU (SPEC PTDaemon at the wall), and their idle power. A GPU that works is taken to draw its cap, an idle one
what its spec says. Each server's line is a least-squares fit of its capped rows and as many idle readings;
one cap at a time is left out for the second error.
"""

from __future__ import annotations

from collections import defaultdict

import attrs
import inferbench_data
import numpy as np

Array = np.ndarray
IDLE = {"A100": 60.0, "H200": 75.0}  # watts of a board with nothing to do, from the chips' specs


@attrs.frozen
class Server:
    """One server's readings: watts of all boards and at the wall while working, and at the wall when idle."""

    boards: Array
    wall: Array
    idle_boards: float
    idle_wall: float

    def line(self, kept: Array) -> tuple[float, float]:
        """Fixed watts and factor from the rows kept and as many idle readings."""
        count = int(kept.sum())
        x = np.append(self.boards[kept], [self.idle_boards] * count)
        factor, fixed = np.polyfit(x, np.append(self.wall[kept], [self.idle_wall] * count), 1)
        return float(fixed), float(factor)


def read() -> dict[tuple[str, int], Server]:
    """Read the servers whose GPUs were capped."""
    rows: dict[tuple[str, int], list[tuple[float, float, float]]] = defaultdict(list)
    for row in inferbench_data.table("wall_power").rows():
        cap = row["power_cap_per_chip_w"]
        if cap > 0:
            count = int(row["n_chips"])
            key = (row["file"].split("/")[3], count)
            rows[key].append((cap * count, row["power_w"], row["idle_power_w"]))
    servers = {}
    for (name, count), found in rows.items():
        boards, wall, idle = np.array(found).T
        board = next(watts for part, watts in IDLE.items() if part in name)
        servers[name, count] = Server(boards, wall, board * count, float(np.median(idle)))
    return servers


def main() -> None:
    """Print each server's line, its error on its own rows and with a cap left out, and the factor 1.2
    beside it.
    """
    print(f"{'server':44} rows  fixed W  factor  rms    left out  1.2 x board")
    for (name, _), server in read().items():
        every = np.ones(len(server.boards), dtype=bool)
        fixed, factor = server.line(every)
        rms = np.sqrt(np.mean(np.log((fixed + factor * server.boards) / server.wall) ** 2))
        left = []
        for cap in np.unique(server.boards):
            f, s = server.line(server.boards != cap)
            out = server.boards == cap
            left.extend(np.abs((f + s * server.boards[out]) / server.wall[out] - 1.0))
        naive = np.mean(1.2 * server.boards / server.wall - 1.0)
        fitted = f"{len(every):4}  {fixed:7.0f}  {factor:6.3f}  {rms:.3f}"
        print(f"{name:44} {fitted}  {np.mean(left):8.1%}  {naive:+10.1%}")


if __name__ == "__main__":
    main()
