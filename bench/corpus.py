#!/usr/bin/python3
"""Makes the bench's library: plain-text books whose words follow a Zipf–Mandelbrot law.

`bench/corpus.py FOLDER` writes BOOKS files, the same ones every time. The commonest words are real
English ones, so that the text analysis treats them as it would in a real library; the others are
made of syllables.
"""

from __future__ import annotations

import argparse
import itertools
import random
from collections.abc import Iterator
from pathlib import Path

BOOKS = 440
WORDS_PER_BOOK = 60_000
VOCABULARY = 60_000
EXPONENT = 1.07
SHIFT = 2.7
SEED = 20_240_601

COMMON = """
the of and to a in that is was he for it with as his on be at by i this had not are but from or
have an they which one you were her all she there would their we him been has when who will more
no if out so said what up its about into than them can only other new some could time these two
may then do first any my now such like our over man me even most made after also did many before
must through back years where much your way well down should because each just those people how
too little state good very make world still own see men work long get here between both life
being under never day same another know while last might us great old year off come since
against go came right used take house water hand place light night love friend morning door
voice garden letter river window road captain mother father doctor silence question answer
history science island winter summer
""".split()

SYLLABLES = [
    consonant + vowel + end
    for consonant in ("b", "br", "c", "d", "f", "g", "l", "m", "n", "p", "r", "s", "st", "t", "v")
    for vowel in ("a", "e", "i", "o", "u", "ea")
    for end in ("", "n", "r", "l", "s", "nd")
]


def vocabulary() -> list[str]:
    """By rank: the common words, then words of two to four syllables, short ones first."""
    source = random.Random(SEED)
    words = dict.fromkeys(COMMON)
    syllables = 2
    while len(words) < VOCABULARY:
        words["".join(source.choices(SYLLABLES, k=syllables))] = None
        syllables = 2 + (len(words) > VOCABULARY // 8) + (len(words) > VOCABULARY // 2)
    return list(words)


def weights() -> list[float]:
    """Cumulative weights of the ranks."""
    return list(itertools.accumulate((rank + SHIFT) ** -EXPONENT for rank in range(VOCABULARY)))


class Library:
    """Writes books; each depends on its number only."""

    def __init__(self) -> None:
        self.words = vocabulary()
        self.weights = weights()

    def text(self, number: int, words: int = WORDS_PER_BOOK) -> str:
        source = random.Random(SEED + number)
        stream = iter(source.choices(self.words, cum_weights=self.weights, k=words))
        paragraphs = []
        while sentence := self.sentence(source, stream):
            sentences = [sentence]
            for _ in range(source.randint(2, 6)):
                sentences.append(self.sentence(source, stream))
            paragraphs.append(" ".join(filter(None, sentences)))
        return "\n\n".join(paragraphs) + "\n"

    @staticmethod
    def sentence(source: random.Random, stream: Iterator[str]) -> str:
        words = list(itertools.islice(stream, source.randint(6, 24)))
        return f"{' '.join(words).capitalize()}." if words else ""

    def write(self, folder: Path, first: int, count: int, words: int = WORDS_PER_BOOK) -> None:
        """Books first … first + count - 1, as `book-0001.txt` …"""
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(first, first + count):
            path = folder / f"book-{number:04}.txt"
            if not path.exists():
                partial = path.with_suffix(".partial")
                partial.write_text(self.text(number, words), encoding="utf-8")
                partial.rename(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--books", type=int, default=BOOKS)
    options = parser.parse_args()
    Library().write(options.folder, 1, options.books)


if __name__ == "__main__":
    main()
