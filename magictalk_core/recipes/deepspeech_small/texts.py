"""Sentences to speak: a small grammar over common words written for this project, and word salad from a dictionary.

The grammar gives the network everyday words in everyday order; the salad gives it spellings that the grammar never
has. The dictionary is Debian's `wamerican` (SCOWL: free for any use); without it only the grammar speaks. A sentence
belongs to training or to testing by a hash of its letters, so the two can never meet, whatever the seeds.
"""

from __future__ import annotations

import random
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["DICTIONARY", "Lexicon", "is_held_out", "lexicon", "sentence", "sentences", "spelled"]

DICTIONARY = Path("/usr/share/dict/american-english")
HELD_OUT_SHARE = 0.06

_NOUNS = """man woman boy girl child house home door window table chair bed room kitchen garden street road town
city village river lake sea shore beach mountain hill valley forest tree flower leaf grass field farm horse cow
sheep dog cat bird fish bear fox mouse apple orange bread cheese milk water coffee tea sugar salt soup dinner lunch
breakfast knife fork spoon cup plate glass bottle box bag book page letter paper pen picture story song music voice
word question answer idea dream plan problem reason chance game ball team school teacher student lesson class doctor
nurse hospital lawyer judge police soldier king queen president captain leader farmer driver worker friend neighbor
stranger family mother father brother sister son daughter uncle aunt cousin baby head face eye ear nose mouth tooth
hand finger arm leg foot heart shoulder back hair skin blood body mind light shadow sun moon sky cloud rain snow
wind storm fire smoke ice stone rock sand iron gold silver wood glass wool cotton coat shirt dress shoe hat ring key
lock clock watch wheel car truck bus train boat ship plane bridge station airport market shop store office bank
church tower wall roof floor corner stairs machine engine computer phone camera radio screen number price money
dollar market business company job work task tool hammer nail rope chain wire map ticket journey visit holiday party
birthday wedding summer winter spring autumn morning evening night day week month year hour minute moment side end
middle edge top bottom north south east west earth world country nation law war peace army history science nature
animal plant power energy sound noise silence taste smell color shape size weight measure circle square line point
mark sign message report newspaper meeting speech language""".split()
_PLURALS = """people children men women feet teeth eyes hands fingers friends neighbors students teachers soldiers
workers farmers horses birds dogs cats trees leaves flowers stones boxes letters books pictures stories songs words
questions answers dreams plans lights shadows clouds stars planets rivers mountains roads streets houses rooms doors
windows tables chairs plates glasses bottles shoes clothes ships boats trains cars wheels machines numbers years
months weeks days hours minutes voices sounds things others parents brothers sisters apples berries potatoes
thoughts reasons problems changes choices pieces branches bridges churches judges prices voyages edges wishes
matches""".split()
_VERBS = """see hear know think find make take give show tell ask call bring carry hold keep leave move push pull
turn open close start stop finish build break fix wash clean cook eat drink buy sell pay send catch throw follow
watch visit help love like want need use try learn teach read write draw paint sing play change choose cover cross
count measure reach touch touch remember forget believe understand hope wish expect enjoy share join gather hide
seek guard lead drive ride fly raise lower lift drop lose win meet miss mention notice offer order prepare protect
prove question remove repair replace return save search serve shake shape shut smell spend spread steal study
support surprise taste thank trust wait warn wear wonder worry judge charge urge bathe breathe measure explore
discover examine""".split()
_PAST = """saw heard knew thought found made took gave showed told asked called brought carried held kept
left moved pushed pulled turned opened closed started stopped finished built broke fixed washed cleaned
cooked ate drank bought sold paid sent caught threw followed watched visited helped loved liked wanted
needed used tried learned taught read wrote drew painted played changed chose covered crossed counted
measured reached touched remembered forgot believed understood expected enjoyed shared joined gathered
guarded led drove rode raised lowered lifted dropped lost won met missed mentioned noticed offered ordered
prepared protected proved removed repaired replaced returned saved searched served shook shut spent spread
stole studied supported surprised tasted thanked trusted warned wore examined""".split()
_INTRANSITIVE = """ran walked jumped slept laughed cried smiled waited arrived came went stood sat lay fell rose
disappeared appeared happened changed stopped began listened looked talked spoke shouted whispered sang danced swam
worked rested lived died grew burned shone traveled wandered hurried returned stayed moved turned climbed""".split()
_GERUNDS = """going coming running walking talking speaking thinking looking waiting working reading writing singing
playing sleeping eating drinking making taking giving trying leaving moving watching listening growing building
standing sitting living learning teaching hoping asking holding falling flying driving riding""".split()
_ADJECTIVES = """good bad big small large little long short tall high low old young new early late hot cold warm
cool dry wet clean dirty dark bright light heavy soft hard loud quiet quick slow strong weak rich poor happy sad
angry afraid brave calm kind rude proud shy wise foolish clever strange common rare simple easy difficult free busy
empty full open closed deep shallow wide narrow thick thin sharp smooth rough sweet sour bitter fresh white black
red green blue yellow brown gray purple pink golden beautiful ugly pretty plain perfect broken whole single double
first second third last next final other same different certain possible likely sure true false real careful
dangerous safe serious funny famous important general national public private local foreign modern ancient wooden
royal usual special several young yearly huge tiny lovely lonely friendly thirsty hungry sleepy joyful""".split()
_ADVERBS = """slowly quickly quietly loudly carefully easily hardly nearly always never often sometimes usually
again soon later now then today tomorrow yesterday tonight here there everywhere nowhere away together alone almost
already still yet once twice finally suddenly perhaps maybe certainly really very well badly early late far near
outside inside upstairs forward backward gently gladly eagerly chiefly exactly largely""".split()
_PREPOSITIONS = """in on at by for from with without about above below under over between behind beside
before after during through across along around against toward into onto upon near past within beyond among
inside outside""".split()
_PRONOUNS = "i you he she it we they".split()
_OBJECTS = "me you him her it us them this that these those everything something nothing everyone somebody".split()
_DETERMINERS = "the the the the a my your his her our their this that every each some any no another one".split()
_MANY = "the the two three four five six seven eight nine ten twelve twenty some many few these those all most".split()
_MODALS = "can could will would shall should may might must can't won't wouldn't couldn't shouldn't".split()
_LINKS = "and but or so because although while when if until since unless where though".split()
_QUESTIONS = "what who where when why how which whose".split()
_NAMES = """john mary james anna peter sarah thomas emily george alice henry jane robert helen william kate
edward laura david susan charles julia frank ruth arthur margaret martin rose philip grace walter victor zoe
quentin""".split()
_NUMBERS = """one two three four five six seven eight nine ten eleven twelve thirteen fifteen eighteen twenty thirty
forty fifty sixty seventy eighty ninety hundred thousand million zero half""".split()
_CONTRACTIONS = (
    "i'm you're he's she's it's we're they're i've we've i'll you'll she'll they'll don't didn't isn't".split()
)

_TEMPLATES = """D N X P D N|D A N X D N|S V D A N P D N|S V O|S V D N A|D M P D N Y|S M V D N|S M V O P D N|S M not
V D N|K G P D N|K G D N Y|Q did S V D N|Q is D A N|where is D N|S Z that S V D N|S V D N L S V O|D N Z P D N L D N
Z|W R V D N|B R X D N|H and H X D N P D N|H V D N P H|it was D A N P D N|it was A and A|there is D N P D N|there
were B R P D N|to V D N is A|G D N is not A|D N of D N X D N of D N|please V D N P D N|V D N and V D N|do not V D
N|let us V D N Y|S had V D A N|D N which S V is A|D N was A L D N was A|U U U U|U R and U R|as A as D N|more A than
D N|S Z Y|Y S V D N|no one V D N|S would like to V D N|S want to V D A N|have you V D N|what a A N|D A A N|P D N|D
N's N is A|H's N Z Y|A N and A R|F F F|F F F F|F N F X F|D A F and D N|S V F P D F|F and F Y"""


@dataclass(frozen=True)
class Lexicon:
    """Dictionary words for the salad; `words` may be empty: then the grammar's own nouns stand in."""

    words: tuple[str, ...]


def _classes() -> dict[str, list[str]]:
    past = _PAST + _PAST + _VERBS
    return {
        "N": _NOUNS, "R": _PLURALS, "V": past, "X": _PAST, "Z": _INTRANSITIVE, "G": _GERUNDS, "A": _ADJECTIVES,
        "Y": _ADVERBS, "P": _PREPOSITIONS, "S": _PRONOUNS, "O": _OBJECTS, "D": _DETERMINERS, "B": _MANY, "M": _MODALS,
        "L": _LINKS, "Q": _QUESTIONS, "H": _NAMES, "U": _NUMBERS, "K": _CONTRACTIONS, "W": _MANY,
    }  # fmt: skip


_CLASSES = _classes()
_PATTERNS = [template.split() for template in _TEMPLATES.replace("\n", " ").split("|")]


def lexicon(path: Path = DICTIONARY) -> Lexicon:
    """Words of 2 to 12 plain letters in the dictionary file; empty where there is none."""
    if not path.is_file():
        return Lexicon(())
    lines = path.read_text(encoding="utf-8").split()
    return Lexicon(tuple(word for word in lines if re.fullmatch(r"[a-z]{2,12}", word)))


def spelled(text: str) -> str:
    """`text` in the 28 characters: lower case, anything else a space, single spaces."""
    kept = re.sub(r"[^a-z']+", " ", text.lower().replace("\u2019", "'"))
    return " ".join(kept.split())


def is_held_out(text: str) -> bool:
    """Whether this sentence may only be tested on: a property of its letters, not of a seed."""
    return zlib.crc32(spelled(text).encode()) % 10_000 < HELD_OUT_SHARE * 10_000


def _word(symbol: str, rng: random.Random, words: Lexicon) -> str:
    stem, suffix = (symbol[:-2], "'s") if symbol.endswith("'s") else (symbol, "")
    if stem == "F":
        return rng.choice(words.words or _CLASSES["N"]) + suffix
    if stem not in _CLASSES:
        return symbol
    # One open-class word in eight comes from the dictionary, so that position does not give the word away.
    if stem in "NRAVXY" and words.words and rng.random() < 0.12:
        return rng.choice(words.words)
    return rng.choice(_CLASSES[stem]) + suffix


def sentence(rng: random.Random, words: Lexicon) -> str:
    """One sentence of 2 to about 14 words in the 28 characters."""
    pattern = rng.choice(_PATTERNS)
    if rng.random() < 0.15:
        pattern = [*pattern, *rng.choice(_PATTERNS)]
    if words.words and rng.random() < 0.15:
        pattern = ["F"] * rng.randint(1, 5)
    return spelled(" ".join(_word(symbol, rng, words) for symbol in pattern))


def sentences(seed: int, words: Lexicon, *, held_out: bool) -> Iterator[str]:
    """Endless sentences of one side of the split, the same for the same seed and dictionary."""
    rng = random.Random(seed)
    while True:
        text = sentence(rng, words)
        if is_held_out(text) == held_out:
            yield text
