#!/usr/bin/env python3
"""Writes simple German sentences and their English translations, line for line: generate.py FOLDER [LINES] [SEED]

Nothing but grammar: the two languages put the verb, the adverb and the parts of a tense in different places, which is what attention
has to find out. FOLDER/{train,valid}.{de,en}; no sentence stands in both.
"""
import pathlib
import random
import sys

# German, gender, English
PEOPLE = [("Mann", "m", "man"), ("Frau", "f", "woman"), ("Kind", "n", "child"), ("Junge", "m", "boy"), ("Lehrerin", "f", "teacher"),
          ("Nachbar", "m", "neighbour"), ("Schwester", "f", "sister"), ("Mädchen", "n", "girl")]
THINGS = [("Hund", "m", "dog"), ("Katze", "f", "cat"), ("Haus", "n", "house"), ("Garten", "m", "garden"), ("Brücke", "f", "bridge"),
          ("Fahrrad", "n", "bicycle"), ("Vogel", "m", "bird"), ("Lampe", "f", "lamp"), ("Bild", "n", "picture"), ("Baum", "m", "tree")]
OF_PEOPLE = [("alt", "old"), ("klein", "small"), ("jung", "young"), ("müd", "tired")]
OF_THINGS = [("alt", "old"), ("klein", "small"), ("schön", "beautiful"), ("rot", "red")]
# third person, participle, infinitive; English third person, past, infinitive
VERBS = [("sieht", "gesehen", "sehen", "sees", "saw", "see"), ("malt", "gemalt", "malen", "paints", "painted", "paint"),
         ("kauft", "gekauft", "kaufen", "buys", "bought", "buy"), ("findet", "gefunden", "finden", "finds", "found", "find"),
         ("zeichnet", "gezeichnet", "zeichnen", "draws", "drew", "draw"), ("sucht", "gesucht", "suchen", "seeks", "sought", "seek")]
PAST = [("gestern", "yesterday"), ("damals", "then")]
PRESENT = [("heute", "today"), ("jetzt", "now"), ("oft", "often")]
FUTURE = [("morgen", "tomorrow"), ("bald", "soon")]
OPENINGS = [("glaubt", "dass", "believes that"), ("sagt", "dass", "says that"), ("lacht", "weil", "laughs because"),
            ("wartet", "bis", "waits until"), ("weiß", "dass", "knows that")]

ARTICLES = {"the": {"nominative": {"m": "der", "f": "die", "n": "das"}, "accusative": {"m": "den", "f": "die", "n": "das"}},
            "a": {"nominative": {"m": "ein", "f": "eine", "n": "ein"}, "accusative": {"m": "einen", "f": "eine", "n": "ein"}}}


def ending(article, case, gender):
    if case == "accusative" and gender == "m":
        return "en"
    return {"m": "er", "f": "e", "n": "es"}[gender] if article == "a" else "e"


def phrase(chance, nouns, adjectives, case):
    """German and English of a noun with its article and sometimes an adjective."""
    noun, gender, english = chance.choice(nouns)
    article = chance.choice(["the", "the", "a"])
    german = [ARTICLES[article][case][gender]]
    words = [article]
    if chance.random() < 0.4:
        adjective, meaning = chance.choice(adjectives)
        german.append(adjective + ending(article, case, gender))
        words.append(meaning)
        if article == "a" and meaning[0] in "aeiou":
            words[0] = "an"
    return " ".join(german + [noun]), " ".join(words + [english])


def sentence(chance):
    who, who_en = phrase(chance, PEOPLE, OF_PEOPLE, "nominative")
    what, what_en = phrase(chance, THINGS, OF_THINGS, "accusative")
    third, participle, infinitive, third_en, past_en, infinitive_en = chance.choice(VERBS)
    (then, then_en), (now, now_en), (later, later_en) = chance.choice(PAST), chance.choice(PRESENT), chance.choice(FUTURE)
    other, other_en = phrase(chance, PEOPLE, OF_PEOPLE, "nominative")
    says, joins, says_en = chance.choice(OPENINGS)
    german, english = chance.choice([
        (f"{who} {third} {now} {what}", f"{who_en} {third_en} {what_en} {now_en}"),
        (f"{now} {third} {who} {what}", f"{now_en} {who_en} {third_en} {what_en}"),
        (f"{who} hat {then} {what} {participle}", f"{who_en} {past_en} {what_en} {then_en}"),
        (f"{then} hat {who} {what} {participle}", f"{then_en} {who_en} {past_en} {what_en}"),
        (f"{who} will {later} {what} {infinitive}", f"{who_en} wants to {infinitive_en} {what_en} {later_en}"),
        (f"{later} wird {who} {what} {infinitive}", f"{later_en} {who_en} will {infinitive_en} {what_en}"),
        (f"{other} {says}, {joins} {who} {then} {what} {participle} hat", f"{other_en} {says_en} {who_en} {past_en} {what_en} {then_en}"),
        (f"{other} {says}, {joins} {who} {now} {what} {third}", f"{other_en} {says_en} {who_en} {third_en} {what_en} {now_en}"),
    ])
    return german[0].upper() + german[1:] + ".", english[0].upper() + english[1:] + "."


def main():
    folder = pathlib.Path(sys.argv[1])
    lines = int(sys.argv[2]) if len(sys.argv) > 2 else 10000
    chance = random.Random(int(sys.argv[3]) if len(sys.argv) > 3 else 1)
    folder.mkdir(parents=True, exist_ok=True)
    pairs = {}
    while len(pairs) < lines + 300:
        german, english = sentence(chance)
        pairs[german] = english
    pairs = list(pairs.items())
    for name, part in {"valid": pairs[:300], "train": pairs[300:]}.items():
        (folder / f"{name}.de").write_text("".join(german + "\n" for german, _ in part), encoding="utf-8")
        (folder / f"{name}.en").write_text("".join(english + "\n" for _, english in part), encoding="utf-8")


if __name__ == "__main__":
    main()
