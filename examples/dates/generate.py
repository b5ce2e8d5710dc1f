#!/usr/bin/env python3
"""Writes dates as people write them, and the same dates as ISO 8601, line for line.

generate.py FOLDER [SEED]     FOLDER/{train,valid,test}.{written,iso}; no date stands in two of the three sets

Dates lie between 1950-01-01 and 2049-12-31, so two digits name a year. With slashes the month comes first, with dots and dashes the
day; a written year that comes first is followed by month, day.
"""
import datetime
import pathlib
import random
import sys

FIRST, LAST = datetime.date(1950, 1, 1), datetime.date(2049, 12, 31)
SIZES = {"train": 24000, "valid": 500, "test": 1000}

MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"]
WEEKDAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]

# {d} day, {D} day in two digits, {o} day as 1st, 2nd, …; {m}, {M} month; {b} Jan, {B} January; {y} two digits, {Y} four; {a} Mon, {A} Monday
FORMS = [
    "{m}/{d}/{y}", "{m}/{d}/{Y}", "{M}/{D}/{Y}", "{M}/{D}/{y}",
    "{d}.{m}.{y}", "{d}.{m}.{Y}", "{D}.{M}.{Y}", "{d}. {m}. {Y}", "{d}-{m}-{Y}", "{D}-{b}-{Y}", "{d}-{b}-{y}",
    "{Y}/{M}/{D}", "{Y}.{m}.{d}", "{Y} {b} {d}", "{Y}, {B} {d}", "{Y}{M}{D}",
    "{B} {d}, {Y}", "{B} {o}, {Y}", "{B} {d} {Y}", "{b} {d}, {Y}", "{b}. {d}, {Y}", "{b} {d} '{y}", "{B} the {o}, {Y}",
    "{d} {B} {Y}", "{d} {b} {Y}", "{d} {b}. {y}", "{o} {B} {Y}", "{o} of {B} {Y}", "the {o} of {B}, {Y}", "{d} {B}, {Y}",
    "{A}, {B} {d}, {Y}", "{A}, {d} {B} {Y}", "{a}, {d} {b} {Y}", "{a} {b} {d} {Y}", "{A} the {o} of {B} {Y}", "{a} {d}.{m}.{y}",
    "on {d} {B} {Y}", "on {A}, {b} {o}, {Y}",
]


def ordinal(number):
    ending = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def write(date, form, case):
    month, weekday = MONTHS[date.month - 1], WEEKDAYS[date.weekday()]
    text = form.format(d=date.day, D=f"{date.day:02}", o=ordinal(date.day), m=date.month, M=f"{date.month:02}", b=month[:3], B=month,
                       y=f"{date.year % 100:02}", Y=date.year, a=weekday[:3], A=weekday)
    return case(text)


def shares(chance):
    """The days of each set."""
    dates = [FIRST + datetime.timedelta(days) for days in range((LAST - FIRST).days + 1)]
    chance.shuffle(dates)
    return {"test": dates[:1500], "valid": dates[1500:2500], "train": dates[2500:]}


def write_set(folder, name, size, days, chance):
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / f"{name}.written", "w") as written, open(folder / f"{name}.iso", "w") as iso:
        for _ in range(size):
            date = chance.choice(days)
            case = chance.choices([str, str.lower, str.upper], [8, 3, 1])[0]
            written.write(write(date, chance.choice(FORMS), case) + "\n")
            iso.write(date.isoformat() + "\n")


def main():
    chance = random.Random(int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    days = shares(chance)
    for name, size in SIZES.items():
        write_set(pathlib.Path(sys.argv[1]), name, size, days[name], chance)


if __name__ == "__main__":
    main()
