"""Writes a table to try things with: `python -m genwright_tables.example animals.csv`.

Height and weight depend on the kind of animal, and weight on height; the colour depends on little.
"""

import csv
import random
import sys

KINDS = {"cat": (25, 3, 0.16), "dog": (50, 10, 0.45), "horse": (160, 8, 3.0)}
COLOURS = ("black", "brown", "white")


def animals(rows: int = 400, seed: int = 0) -> list[list]:
    """Rows of: kind, height in cm, weight in kg, colour, age."""
    draw = random.Random(seed)
    made = []
    for _ in range(rows):
        kind = draw.choices(list(KINDS), [3, 2, 1])[0]
        mean, spread, slope = KINDS[kind]
        height = draw.gauss(mean, spread)
        weight = max(1.0, slope * height + draw.gauss(0, 0.03 * slope * mean))
        colour = draw.choices(COLOURS, [1, 3, 1] if kind == "horse" else [2, 1, 2])[0]
        made.append([kind, round(height), f"{weight:.1f}", colour, draw.randint(1, 20)])
    return made


def write_animals(path: str, rows: int = 400, seed: int = 0) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["kind", "height", "weight", "colour", "age"])
        writer.writerows(animals(rows, seed))


if __name__ == "__main__":
    write_animals(sys.argv[1])
