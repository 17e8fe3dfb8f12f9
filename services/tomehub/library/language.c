/*
 * Languages: codes, stemmers, commonest words (folded). To tell a text's language each of its words
 * is looked for in all of them: one hash table, made at first use and constant afterwards, says for
 * a word whose it is.
 */
#include "library/language.h"

#include <pthread.h>
#include <string.h>
#include <xxhash.h>

#include "bulkhead/base/assert.h"
#include "library/analysis.h"

static const char *const english_words[] = {
    "a",         "about",     "above",    "after",  "again",      "against",  "all",
    "also",      "although",  "always",   "am",     "among",      "an",       "and",
    "another",   "any",       "are",      "arent",  "around",     "as",       "at",
    "be",        "became",    "because",  "become", "been",       "before",   "being",
    "below",     "between",   "both",     "but",    "by",         "came",     "can",
    "cannot",    "cant",      "come",     "could",  "couldnt",    "did",      "didnt",
    "do",        "does",      "doesnt",   "doing",  "done",       "dont",     "down",
    "during",    "each",      "either",   "else",   "etc",        "even",     "ever",
    "every",     "few",       "for",      "from",   "further",    "get",      "give",
    "given",     "go",        "goes",     "got",    "had",        "hadnt",    "has",
    "hasnt",     "have",      "havent",   "having", "he",         "hence",    "her",
    "here",      "hers",      "herself",  "him",    "himself",    "his",      "how",
    "however",   "i",         "if",       "in",     "into",       "is",       "isnt",
    "it",        "its",       "itself",   "just",   "let",        "like",     "made",
    "make",      "many",      "may",      "me",     "might",      "more",     "most",
    "much",      "must",      "my",       "myself", "neither",    "no",       "nor",
    "not",       "now",       "of",       "off",    "often",      "on",       "once",
    "one",       "only",      "onto",     "or",     "other",      "others",   "our",
    "ours",      "ourselves", "out",      "over",   "own",        "per",      "perhaps",
    "quite",     "rather",    "really",   "said",   "same",       "say",      "see",
    "seem",      "seems",     "shall",    "she",    "should",     "shouldnt", "since",
    "so",        "some",      "still",    "such",   "take",       "than",     "that",
    "the",       "their",     "theirs",   "them",   "themselves", "then",     "there",
    "therefore", "these",     "they",     "this",   "those",      "though",   "through",
    "thus",      "to",        "together", "too",    "toward",     "towards",  "under",
    "until",     "unto",      "up",       "upon",   "us",         "use",      "used",
    "using",     "very",      "was",      "wasnt",  "way",        "we",       "well",
    "went",      "were",      "werent",   "what",   "whatever",   "when",     "where",
    "whether",   "which",     "while",    "who",    "whole",      "whom",     "whose",
    "why",       "will",      "with",     "within", "without",    "wont",     "would",
    "wouldnt",   "yet",       "you",      "your",   "yours",      "yourself", "yourselves",
};

static const char *const turkish_words[] = {
    "acaba",  "ama",   "ancak",  "artik",   "aslinda", "az",     "bana",    "bazen",
    "bazi",   "belki", "ben",    "beni",    "benim",   "bile",   "bir",     "biraz",
    "bircok", "biri",  "birkac", "birsey",  "biz",     "bize",   "bizi",    "bizim",
    "boyle",  "bu",    "buna",   "bunda",   "bundan",  "bunlar", "bunu",    "bunun",
    "burada", "butun", "cok",    "cunku",   "da",      "daha",   "de",      "degil",
    "diger",  "diye",  "dolayi", "en",      "fakat",   "gibi",   "gore",    "hala",
    "hangi",  "hatta", "hem",    "henuz",   "hep",     "hepsi",  "her",     "herhangi",
    "herkes", "hic",   "hicbir", "icin",    "ile",     "ilgili", "ise",     "iste",
    "kadar",  "karsi", "kendi",  "kendine", "kendini", "ki",     "kim",     "kimse",
    "mi",     "mu",    "nasil",  "ne",      "neden",   "nedir",  "nerede",  "nin",
    "niye",   "o",     "olan",   "olarak",  "oldu",    "oldugu", "olmak",   "olmasi",
    "olsa",   "olup",  "olur",   "ona",     "ondan",   "onlar",  "onlarin", "onu",
    "onun",   "orada", "oyle",   "oysa",    "pek",     "ragmen", "sadece",  "sanki",
    "sen",    "sey",   "simdi",  "siz",     "sonra",   "soyle",  "su",      "tarafindan",
    "tum",    "uzere", "var",    "ve",      "veya",    "ya",     "yani",    "yapilan",
    "yerine", "yine",  "yok",    "yoksa",   "zaten",
};

static const char *const german_words[] = {
    "aber",    "alle",   "allem",    "allen",   "aller",   "alles",   "als",     "also",
    "am",      "an",     "ander",    "andere",  "anderen", "anderer", "anderes", "auch",
    "auf",     "aus",    "bei",      "beim",    "bin",     "bis",     "bist",    "da",
    "dadurch", "daher",  "dann",     "darum",   "das",     "dass",    "dein",    "deine",
    "dem",     "den",    "denn",     "der",     "des",     "deshalb", "dessen",  "die",
    "dies",    "diese",  "diesem",   "diesen",  "dieser",  "dieses",  "doch",    "dort",
    "du",      "durch",  "ein",      "eine",    "einem",   "einen",   "einer",   "eines",
    "er",      "es",     "etwas",    "euch",    "euer",    "fur",     "gegen",   "gewesen",
    "hab",     "habe",   "haben",    "hat",     "hatte",   "hatten",  "hier",    "hin",
    "hinter",  "ich",    "ihm",      "ihn",     "ihnen",   "ihr",     "ihre",    "ihrem",
    "ihren",   "ihrer",  "im",       "in",      "indem",   "ins",     "ist",     "ja",
    "jede",    "jedem",  "jeden",    "jeder",   "jedes",   "jener",   "jetzt",   "kann",
    "kein",    "keine",  "keinem",   "keinen",  "keiner",  "konnen",  "konnte",  "machen",
    "man",     "manche", "mehr",     "mein",    "meine",   "meinem",  "meinen",  "meiner",
    "mich",    "mir",    "mit",      "muss",    "musste",  "nach",    "nicht",   "nichts",
    "noch",    "nun",    "nur",      "ob",      "oder",    "ohne",    "schon",   "sehr",
    "sein",    "seine",  "seinem",   "seinen",  "seiner",  "selbst",  "sich",    "sie",
    "sind",    "so",     "solche",   "soll",    "sollte",  "sondern", "sonst",   "uber",
    "um",      "und",    "uns",      "unser",   "unsere",  "unter",   "viel",    "vom",
    "von",     "vor",    "wann",     "war",     "waren",   "warum",   "was",     "weg",
    "weil",    "weiter", "welche",   "welchem", "welchen", "welcher", "welches", "wenn",
    "wer",     "werde",  "werden",   "wie",     "wieder",  "will",    "wir",     "wird",
    "wirst",   "wo",     "wollen",   "worden",  "wurde",   "wurden",  "zu",      "zum",
    "zur",     "zwar",   "zwischen",
};

static const char *const french_words[] = {
    "a",     "afin",    "ai",      "aie",    "ainsi",    "alors",    "apres", "as",      "au",
    "aucun", "aucune",  "aussi",   "autre",  "autres",   "aux",      "avait", "avant",   "avec",
    "avez",  "avoir",   "avons",   "c",      "car",      "ce",       "cela",  "celle",   "celles",
    "celui", "ces",     "cet",     "cette",  "ceux",     "chaque",   "chez",  "comme",   "comment",
    "d",     "dans",    "de",      "depuis", "des",      "deux",     "donc",  "dont",    "du",
    "elle",  "elles",   "en",      "encore", "entre",    "est",      "et",    "etaient", "etait",
    "etre",  "eu",      "eux",     "fait",   "fois",     "font",     "fut",   "ici",     "il",
    "ils",   "j",       "je",      "l",      "la",       "laquelle", "le",    "lequel",  "les",
    "leur",  "leurs",   "lors",    "lui",    "m",        "ma",       "mais",  "me",      "meme",
    "memes", "mes",     "moi",     "moins",  "mon",      "n",        "ne",    "ni",      "nos",
    "notre", "nous",    "on",      "ont",    "ou",       "par",      "parce", "pas",     "peu",
    "peut",  "peuvent", "plus",    "pour",   "pourquoi", "puis",     "qu",    "quand",   "que",
    "quel",  "quelle",  "quelles", "quels",  "qui",      "quoi",     "s",     "sa",      "sans",
    "se",    "selon",   "sera",    "ses",    "si",       "son",      "sont",  "sous",    "sur",
    "t",     "ta",      "tandis",  "te",     "tel",      "telle",    "tes",   "toi",     "ton",
    "tous",  "tout",    "toute",   "toutes", "tres",     "trop",     "tu",    "un",      "une",
    "vers",  "voici",   "voila",   "vos",    "votre",    "vous",     "y",
};

static const char *const spanish_words[] = {
    "a",       "al",      "algo",     "algunas", "algunos",  "ante",   "antes",  "aquel",
    "aquella", "aquello", "asi",      "aun",     "aunque",   "bien",   "cada",   "casi",
    "como",    "con",     "contra",   "cual",    "cuales",   "cuando", "de",     "del",
    "desde",   "donde",   "dos",      "durante", "e",        "el",     "ella",   "ellas",
    "ellos",   "en",      "entonces", "entre",   "era",      "eran",   "es",     "esa",
    "esas",    "ese",     "eso",      "esos",    "esta",     "estaba", "estado", "estan",
    "estar",   "estas",   "este",     "esto",    "estos",    "fue",    "fueron", "ha",
    "haber",   "habia",   "habian",   "hacer",   "hacia",    "han",    "hasta",  "hay",
    "he",      "la",      "las",      "le",      "les",      "lo",     "los",    "mas",
    "me",      "mi",      "mientras", "mis",     "mismo",    "mucho",  "muchos", "muy",
    "nada",    "ni",      "no",       "nos",     "nosotros", "o",      "os",     "otra",
    "otras",   "otro",    "otros",    "para",    "pero",     "poco",   "por",    "porque",
    "pues",    "que",     "quien",    "quienes", "se",       "sea",    "segun",  "ser",
    "si",      "sido",    "siempre",  "sin",     "sino",     "sobre",  "solo",   "son",
    "su",      "sus",     "tambien",  "tan",     "tanto",    "te",     "tener",  "tiene",
    "tienen",  "todo",    "todos",    "tu",      "un",       "una",    "unas",   "uno",
    "unos",    "usted",   "vez",      "y",       "ya",       "yo",
};

static const char *const italian_words[] = {
    "a",       "abbiamo", "ad",     "agli",   "ai",      "al",     "alcuni", "alla",   "alle",
    "allo",    "allora",  "altra",  "altre",  "altri",   "altro",  "anche",  "ancora", "avere",
    "aveva",   "avevano", "c",      "che",    "chi",     "ci",     "cioe",   "come",   "con",
    "contro",  "cosa",    "cosi",   "cui",    "d",       "da",     "dagli",  "dai",    "dal",
    "dalla",   "dalle",   "dallo",  "degli",  "dei",     "del",    "dell",   "della",  "delle",
    "dello",   "deve",    "di",     "dopo",   "dove",    "due",    "e",      "ebbe",   "ed",
    "egli",    "era",     "erano",  "essa",   "esse",    "essere", "essi",   "fare",   "fatto",
    "fin",     "fino",    "fra",    "fu",     "furono",  "gia",    "gli",    "ha",     "hanno",
    "ho",      "i",       "il",     "in",     "infatti", "io",     "l",      "la",     "le",
    "lei",     "li",      "lo",     "loro",   "lui",     "ma",     "me",     "mentre", "mi",
    "mia",     "mio",     "molto",  "ne",     "negli",   "nei",    "nel",    "nell",   "nella",
    "nelle",   "nello",   "no",     "noi",    "non",     "nostra", "nostro", "o",      "ogni",
    "oppure",  "ora",     "per",    "perche", "percio",  "pero",   "piu",    "poi",    "prima",
    "proprio", "puo",     "quale",  "quali",  "quando",  "quanto", "quella", "quelle", "quelli",
    "quello",  "questa",  "queste", "questi", "questo",  "qui",    "quindi", "s",      "se",
    "sei",     "senza",   "si",     "sia",    "siamo",   "siano",  "solo",   "sono",   "sopra",
    "sotto",   "sta",     "stata",  "stati",  "stato",   "su",     "sua",    "sue",    "sui",
    "sul",     "sulla",   "sulle",  "suo",    "suoi",    "tra",    "tu",     "tutta",  "tutte",
    "tutti",   "tutto",   "un",     "una",    "uno",     "v",      "vi",     "voi",
};

static const char *const portuguese_words[] = {
    "a",      "ainda",  "alem",   "algumas", "alguns", "antes",  "ao",       "aos",    "apos",
    "aquela", "aquele", "aqui",   "as",      "assim",  "ate",    "bem",      "cada",   "com",
    "como",   "contra", "da",     "das",     "de",     "dela",   "dele",     "deles",  "depois",
    "desde",  "dessa",  "desse",  "desta",   "deste",  "disso",  "do",       "dois",   "dos",
    "e",      "ela",    "elas",   "ele",     "eles",   "em",     "enquanto", "entre",  "era",
    "eram",   "essa",   "essas",  "esse",    "esses",  "esta",   "estao",    "estava", "este",
    "estes",  "eu",     "foi",    "for",     "foram",  "ha",     "isso",     "isto",   "ja",
    "la",     "lhe",    "lhes",   "lo",      "logo",   "mais",   "mas",      "me",     "mesma",
    "mesmo",  "meu",    "minha",  "muito",   "muitos", "na",     "nada",     "nao",    "nas",
    "nem",    "nessa",  "nesse",  "nesta",   "neste",  "no",     "nos",      "nossa",  "nosso",
    "num",    "numa",   "o",      "onde",    "os",     "ou",     "outra",    "outras", "outro",
    "outros", "para",   "pela",   "pelas",   "pelo",   "pelos",  "perante",  "pode",   "podem",
    "pois",   "por",    "porque", "quais",   "qual",   "quando", "quanto",   "que",    "quem",
    "sao",    "se",     "seja",   "sem",     "sempre", "ser",    "sera",     "seu",    "seus",
    "so",     "sob",    "sobre",  "sua",     "suas",   "tambem", "tanto",    "tao",    "tem",
    "ter",    "teve",   "tinha",  "toda",    "todas",  "todo",   "todos",    "tu",     "tudo",
    "um",     "uma",    "umas",   "uns",     "voce",   "voces",
};

static const char *const dutch_words[] = {
    "aan",     "achter", "al",     "alle",    "alleen", "alles",   "als",     "altijd", "andere",
    "anders",  "ben",    "bent",   "bij",     "daar",   "daarom",  "dan",     "dat",    "de",
    "deze",    "die",    "dit",    "doch",    "doen",   "dood",    "door",    "dus",    "een",
    "eens",    "elke",   "en",     "enige",   "er",     "erg",     "even",    "ge",     "geen",
    "geweest", "haar",   "had",    "hadden",  "heb",    "hebben",  "heeft",   "heel",   "hem",
    "het",     "hier",   "hij",    "hoe",     "hun",    "iemand",  "iets",    "ik",     "in",
    "is",      "ja",     "je",     "jou",     "jouw",   "juist",   "kan",     "kon",    "konden",
    "kunnen",  "maar",   "mag",    "me",      "meer",   "men",     "met",     "mij",    "mijn",
    "moet",    "moeten", "na",     "naar",    "naast",  "nadat",   "niet",    "niets",  "nog",
    "nooit",   "nu",     "of",     "om",      "omdat",  "ondanks", "onder",   "ons",    "ook",
    "op",      "over",   "reeds",  "slechts", "te",     "tegen",   "terwijl", "toch",   "toen",
    "tot",     "tussen", "u",      "uit",     "uw",     "vaak",    "van",     "veel",   "verder",
    "via",     "voor",   "vooral", "waar",    "waarom", "wanneer", "want",    "waren",  "was",
    "wat",     "we",     "weer",   "wel",     "welke",  "werd",    "werden",  "wie",    "wij",
    "wil",     "willen", "worden", "wordt",   "zal",    "ze",      "zei",     "zelf",   "zich",
    "zij",     "zijn",   "zo",     "zoals",   "zonder", "zou",     "zouden",
};

static const char *const swedish_words[] = {
    "alla",  "allt",  "an",     "ar",     "at",     "att",    "av",     "aven",  "bade",   "bara",
    "blev",  "bli",   "blir",   "blivit", "da",     "dar",    "darfor", "de",    "dem",    "den",
    "denna", "deras", "dess",   "dessa",  "det",    "detta",  "dig",    "din",   "dina",   "ditt",
    "du",    "efter", "ej",     "eller",  "en",     "er",     "era",    "ett",   "for",    "fore",
    "fran",  "ha",    "hade",   "han",    "hans",   "har",    "hela",   "henne", "hennes", "hon",
    "honom", "hur",   "i",      "icke",   "in",     "ingen",  "inom",   "inte",  "ja",     "jag",
    "kan",   "kunde", "kunna",  "man",    "med",    "mellan", "men",    "mig",   "min",    "mina",
    "mitt",  "mot",   "mycket", "nagon",  "nagot",  "nagra",  "nar",    "ni",    "nu",     "och",
    "ocksa", "om",    "oss",    "over",   "pa",     "redan",  "sa",     "sadan", "samma",  "sedan",
    "sig",   "sin",   "sina",   "sitt",   "ska",    "skall",  "skulle", "som",   "till",   "under",
    "upp",   "ut",    "utan",   "vad",    "var",    "vara",   "varfor", "varit", "varje",  "vars",
    "vem",   "vi",    "vid",    "vilka",  "vilken", "vill",
};

static const char *const danish_words[] = {
    "af",    "alle",    "allerede", "alt",    "anden",  "andre", "at",      "bare",    "blev",
    "blive", "bliver",  "bort",     "da",     "de",     "dem",   "den",     "denne",   "der",
    "deres", "det",     "dette",    "dig",    "din",    "disse", "dog",     "du",      "efter",
    "ej",    "eller",   "en",       "end",    "er",     "et",    "fa",      "for",     "fordi",
    "fra",   "gennem",  "ham",      "han",    "hans",   "har",   "havde",   "have",    "hele",
    "hende", "hendes",  "her",      "hos",    "hun",    "hvad",  "hver",    "hvilken", "hvis",
    "hvor",  "hvordan", "hvornar",  "i",      "ikke",   "ind",   "ingen",   "intet",   "jeg",
    "jer",   "kan",     "kom",      "kun",    "kunne",  "lige",  "ligesom", "ma",      "man",
    "mange", "med",     "meget",    "mellem", "men",    "mere",  "mig",     "min",     "mine",
    "mit",   "mod",     "nar",      "ned",    "nogen",  "noget", "nogle",   "nok",     "nu",
    "og",    "ogsa",    "om",       "op",     "os",     "over",  "pa",      "sa",      "sadan",
    "selv",  "sig",     "sin",      "sine",   "sit",    "skal",  "skulle",  "som",     "til",
    "ud",    "uden",    "under",    "vaere",  "vaeret", "var",   "ved",     "vi",      "vil",
    "ville", "vor",     "vore",
};

static const char *const norwegian_words[] = {
    "alle",    "allerede", "alt",   "andre", "at",    "av",   "bade",    "bare",   "ble",
    "bli",     "blir",     "blitt", "da",    "de",    "deg",  "dem",     "den",    "denne",
    "der",     "dere",     "deres", "det",   "dette", "din",  "disse",   "du",     "eller",
    "en",      "enn",      "er",    "et",    "etter", "fa",   "for",     "fordi",  "fra",
    "gjennom", "ha",       "hadde", "ham",   "han",   "hans", "har",     "hele",   "henne",
    "hennes",  "her",      "hun",   "hva",   "hvem",  "hver", "hvilken", "hvis",   "hvor",
    "hvordan", "hvorfor",  "i",     "ikke",  "ingen", "inn",  "jeg",     "kan",    "kom",
    "kunne",   "ma",       "man",   "mange", "med",   "meg",  "meget",   "mellom", "men",
    "mer",     "min",      "mitt",  "mot",   "na",    "nar",  "ned",     "no",     "noe",
    "noen",    "nok",      "og",    "ogsa",  "om",    "opp",  "oss",     "over",   "pa",
    "sa",      "samme",    "seg",   "selv",  "sin",   "sine", "sitt",    "skal",   "skulle",
    "slik",    "som",      "til",   "under", "ut",    "uten", "vaere",   "vaert",  "var",
    "ved",     "vi",       "vil",   "ville",
};

static const char *const finnish_words[] = {
    "ainoa",     "aivan",  "alla",    "ei",       "eivat",   "eli",    "emme",   "en",
    "enemman",   "ennen",  "eri",     "etta",     "han",     "haneen", "hanen",  "hanta",
    "he",        "heidan", "hyvin",   "ilman",    "itse",    "ja",     "jo",     "joka",
    "jokainen",  "jonka",  "jopa",    "jos",      "jossa",   "jota",   "jotka",  "jotta",
    "kaikki",    "kanssa", "kautta",  "keskella", "koko",    "koska",  "kuin",   "kuinka",
    "kuitenkin", "kun",    "kuten",   "kylla",    "lisaksi", "me",     "meidan", "mihin",
    "mika",      "mikaan", "missa",   "mita",     "muita",   "mukaan", "mutta",  "muu",
    "muun",      "muut",   "myos",    "myoskin",  "ne",      "niiden", "niin",   "niita",
    "noin",      "nyt",    "ole",     "olemme",   "olen",    "olet",   "olevan", "oli",
    "olisi",     "olivat", "olla",    "olleet",   "ollut",   "oma",    "on",     "ovat",
    "paljon",    "pitkin", "se",      "seka",     "sen",     "siella", "siihen", "siina",
    "silla",     "sita",   "sitten",  "taas",     "tai",     "talla",  "tama",   "taman",
    "tassa",     "tata",   "te",      "tuo",      "vaan",    "vai",    "vaikka", "vain",
    "viela",     "voi",    "voidaan", "voivat",   "yli",
};

static const char *const hungarian_words[] = {
    "a",      "abban",    "ad",       "addig",    "ahhoz",     "ahogy",   "ahol",    "aki",
    "akik",   "akkor",    "alatt",    "altal",    "altalaban", "amely",   "amelyek", "amelyet",
    "ami",    "amig",     "amikor",   "amit",     "arra",      "at",      "az",      "azert",
    "azok",   "azon",     "azonban",  "azt",      "aztan",     "azutan",  "azzal",   "bar",
    "be",     "belul",    "benne",    "cikk",     "csak",      "de",      "e",       "ebben",
    "eddig",  "egy",      "egyeb",    "egyes",    "egyetlen",  "egyik",   "egyre",   "ehhez",
    "ekkor",  "el",       "eleg",     "ellen",    "elo",       "eloszor", "elott",   "en",
    "epp",    "eppen",    "erre",     "es",       "ez",        "ezek",    "ezen",    "ezert",
    "ezt",    "ezzel",    "fel",      "fele",     "ha",        "hanem",   "hiszen",  "hogy",
    "hogyan", "igen",     "ill",      "ilyen",    "is",        "ismet",   "ison",    "itt",
    "jo",     "jol",      "kell",     "kellett",  "keresztul", "ki",      "kivul",   "kozott",
    "kozul",  "legalabb", "lehet",    "lehetett", "lenne",     "lett",    "maga",    "magat",
    "majd",   "mar",      "mas",      "masik",    "meg",       "mellett", "melyek",  "mert",
    "mi",     "miert",    "mig",      "milyen",   "minden",    "mindig",  "mint",    "mintha",
    "mit",    "mivel",    "most",     "nagy",     "nagyon",    "ne",      "neha",    "nekem",
    "neki",   "nelkul",   "nem",      "nincs",    "o",         "ok",      "oket",    "olyan",
    "ossze",  "ott",      "pedig",    "persze",   "ra",        "s",       "sajat",   "sem",
    "semmi",  "sok",      "sokat",    "szamara",  "szerint",   "szinte",  "talan",   "tehat",
    "tobb",   "tovabb",   "tovabba",  "ugy",      "ugyanis",   "utan",    "utana",   "vagy",
    "vagyis", "valaki",   "valamint", "van",      "vannak",    "vele",    "vissza",  "viszont",
    "volna",  "volt",     "voltak",
};

static const char *const romanian_words[] = {
    "a",       "abia",   "acea",    "aceasta", "aceea",    "acei",    "aceia",  "acel",  "acela",
    "acele",   "acelea", "acest",   "acesta",  "aceste",   "acestea", "acesti", "acolo", "acum",
    "ai",      "aici",   "al",      "ale",     "alt",      "alta",    "alte",   "am",    "apoi",
    "ar",      "are",    "as",      "asa",     "asta",     "astfel",  "asupra", "atat",  "atunci",
    "au",      "avea",   "aveti",   "ca",      "cand",     "care",    "catre",  "ce",    "cea",
    "ceea",    "cei",    "cel",     "cele",    "celor",    "chiar",   "ci",     "cine",  "cineva",
    "cu",      "cum",    "daca",    "dar",     "datorita", "de",      "decat",  "deci",  "deja",
    "desi",    "despre", "din",     "dintre",  "doar",     "dupa",    "e",      "ea",    "ei",
    "el",      "ele",    "era",     "erau",    "este",     "eu",      "fara",   "fi",    "fie",
    "fiecare", "fiind",  "foarte",  "fost",    "ii",       "il",      "imi",    "in",    "inainte",
    "inca",    "insa",   "intr",    "intre",   "isi",      "le",      "li",     "lor",   "lui",
    "mai",     "maine",  "mea",     "mei",     "mult",     "multe",   "multi",  "ne",    "nici",
    "nimic",   "noi",    "nostru",  "nu",      "o",        "ori",     "orice",  "pe",    "pentru",
    "peste",   "prin",   "printre", "sa",      "sale",     "sau",     "se",     "si",    "sub",
    "sunt",    "suntem", "toate",   "tot",     "toti",     "totul",   "tu",     "un",    "una",
    "unde",    "unei",   "unele",   "unor",    "unui",     "va",      "voi",    "vor",
};

static const char *const russian_words[] = {
    "а",      "без",     "более",   "больше", "будет",  "будто",  "бы",    "был",    "была",
    "были",   "было",    "быть",    "в",      "вам",    "вас",    "вдруг", "ведь",   "во",
    "вот",    "впрочем", "все",     "всегда", "всего",  "всех",   "всю",   "вы",     "где",
    "да",     "даже",    "два",     "для",    "до",     "другои", "его",   "ее",     "еи",
    "ему",    "если",    "есть",    "еще",    "ж",      "же",     "за",    "зачем",  "здесь",
    "и",      "из",      "или",     "им",     "иногда", "их",     "к",     "как",    "какая",
    "какои",  "когда",   "конечно", "кто",    "куда",   "ли",     "лучше", "между",  "меня",
    "мне",    "много",   "может",   "можно",  "мои",    "моя",    "мы",    "на",     "над",
    "надо",   "наконец", "нас",     "не",     "него",   "нее",    "неи",   "нельзя", "нет",
    "ни",     "нибудь",  "никогда", "ним",    "них",    "ничего", "но",    "ну",     "о",
    "об",     "один",    "он",      "она",    "они",    "опять",  "от",    "перед",  "по",
    "под",    "после",   "потом",   "потому", "почти",  "при",    "про",   "раз",    "разве",
    "с",      "сам",     "свою",    "себе",   "себя",   "сеичас", "со",    "совсем", "так",
    "такои",  "там",     "тебя",    "тем",    "теперь", "то",     "тогда", "того",   "тоже",
    "только", "том",     "тот",     "три",    "тут",    "ты",     "у",     "уж",     "уже",
    "хорошо", "хоть",    "чего",    "чем",    "через",  "что",    "чтоб",  "чтобы",  "чуть",
    "эти",    "этого",   "этои",    "этом",   "этот",   "эту",    "я",
};

struct language {
    const char *code;       /* ISO 639-1 */
    const char *long_code;  /* ISO 639-2/T */
    const char *other_code; /* ISO 639-2/B where it differs */
    const char *stemmer;
    const char *const *words;
    size_t word_count;
};

#define LANGUAGE(upper, lower, two, three, other) \
    [TOME_LANGUAGE_##                             \
        upper] = { two, three, other, #lower, lower##_words, BH_COUNT_OF(lower##_words) }

static const struct language languages[TOME_LANGUAGE_COUNT] = {
    [TOME_LANGUAGE_NONE] = { "", "und", "", NULL, NULL, 0 },
    LANGUAGE(ENGLISH, english, "en", "eng", "eng"),
    LANGUAGE(TURKISH, turkish, "tr", "tur", "tur"),
    LANGUAGE(GERMAN, german, "de", "deu", "ger"),
    LANGUAGE(FRENCH, french, "fr", "fra", "fre"),
    LANGUAGE(SPANISH, spanish, "es", "spa", "spa"),
    LANGUAGE(ITALIAN, italian, "it", "ita", "ita"),
    LANGUAGE(PORTUGUESE, portuguese, "pt", "por", "por"),
    LANGUAGE(DUTCH, dutch, "nl", "nld", "dut"),
    LANGUAGE(SWEDISH, swedish, "sv", "swe", "swe"),
    LANGUAGE(DANISH, danish, "da", "dan", "dan"),
    LANGUAGE(NORWEGIAN, norwegian, "no", "nor", "nb"),
    LANGUAGE(FINNISH, finnish, "fi", "fin", "fin"),
    LANGUAGE(HUNGARIAN, hungarian, "hu", "hun", "hun"),
    LANGUAGE(ROMANIAN, romanian, "ro", "ron", "rum"),
    LANGUAGE(RUSSIAN, russian, "ru", "rus", "rus"),
};

#define DETECT_BYTES_MAX (64U * 1024U)
#define DETECT_WORDS_MIN 2  /* common words found */
#define DETECT_SHARE_MIN 12 /* of a hundred words */

enum tome_language tome_language_from_code(const struct bh_str code)
{
    size_t size = 0;
    while (size < code.size && code.data[size] != '-' && code.data[size] != '_')
        size++;
    const struct bh_str primary = { .data = code.data, .size = size };
    if (size == 0)
        return TOME_LANGUAGE_NONE;
    for (int i = TOME_LANGUAGE_NONE + 1; i < TOME_LANGUAGE_COUNT; i++) {
        const struct language *const language = &languages[i];
        if (bh_str_equal_nocase(primary, bh_str_from(language->code)) ||
            bh_str_equal_nocase(primary, bh_str_from(language->long_code)) ||
            bh_str_equal_nocase(primary, bh_str_from(language->other_code)))
            return (enum tome_language)i;
    }
    return TOME_LANGUAGE_NONE;
}

const char *tome_language_code(const enum tome_language language)
{
    return languages[language].code;
}

const char *tome_language_stemmer(const enum tome_language language)
{
    return languages[language].stemmer;
}

/* ---- Commonest words ---- */

/* All the languages' words; size 0: an empty slot. */
#define STOP_WORD_SLOTS 8192 /* a power of two */

struct stop_word {
    struct bh_str text;
    uint32_t languages; /* a bit for each */
};

static pthread_once_t stop_words_once = PTHREAD_ONCE_INIT;
static struct stop_word stop_words[STOP_WORD_SLOTS];
static size_t stop_word_count;

/* Its slot, or the empty one where it would be. */
static struct stop_word *find_stop_word(const struct bh_str word)
{
    size_t slot = (size_t)XXH3_64bits(word.data, word.size) & (STOP_WORD_SLOTS - 1);
    while (stop_words[slot].text.size != 0 && !bh_str_equal(stop_words[slot].text, word))
        slot = (slot + 1) & (STOP_WORD_SLOTS - 1);
    return &stop_words[slot];
}

static void add_stop_word(const struct bh_str word, const unsigned language)
{
    struct stop_word *const slot = find_stop_word(word);
    if (slot->text.size == 0)
        stop_word_count++;
    bh_assert(stop_word_count <= STOP_WORD_SLOTS / 2);
    slot->text = word;
    slot->languages |= UINT32_C(1) << language;
}

static void make_stop_words(void)
{
    for (unsigned i = 0; i < TOME_LANGUAGE_COUNT; i++)
        for (size_t j = 0; j < languages[i].word_count; j++)
            add_stop_word(bh_str_from(languages[i].words[j]), i);
}

/* A bit for each language, by its number, of which `form` is one of the commonest words. */
static uint32_t languages_of(const struct bh_str form)
{
    pthread_once(&stop_words_once, make_stop_words);
    return find_stop_word(form)->languages;
}

bool tome_language_is_stop_word(const enum tome_language language, const struct bh_str form)
{
    return (languages_of(form) >> language & 1) != 0;
}

/* ---- A text's language ---- */

enum tome_language tome_language_detect(struct bh_str text)
{
    struct tome_analyzer *analyzer BH_CLEANUP(tome_analyzer_destroy_cleanup) = NULL;
    if (tome_analyzer_create(&analyzer) < 0)
        return TOME_LANGUAGE_NONE;
    if (text.size > DETECT_BYTES_MAX)
        text.size = DETECT_BYTES_MAX;

    size_t word_count = 0;
    size_t found[TOME_LANGUAGE_COUNT] = { 0 };
    struct tome_token token;
    tome_analyzer_begin(analyzer, text);
    while (tome_analyzer_next(analyzer, &token)) {
        word_count++;
        if (token.form.size == 1)
            continue; /* a letter by itself tells little: l', -s, (a) */
        for (uint32_t rest = languages_of(token.form); rest != 0; rest &= rest - 1)
            found[__builtin_ctz(rest)]++;
    }

    int best = TOME_LANGUAGE_NONE;
    size_t second = 0;
    for (int i = TOME_LANGUAGE_NONE + 1; i < TOME_LANGUAGE_COUNT; i++) {
        if (best == TOME_LANGUAGE_NONE || found[i] > found[best]) {
            second = found[best];
            best = i;
        } else if (found[i] > second) {
            second = found[i];
        }
    }
    const bool enough = found[best] >= DETECT_WORDS_MIN &&
                        found[best] * 100 >= word_count * DETECT_SHARE_MIN;
    /* Danish and Norwegian, Spanish and Portuguese share many: a lead of a tenth must be there. */
    const bool clear = found[best] * 10 > second * 11;
    return enough && clear ? (enum tome_language)best : TOME_LANGUAGE_NONE;
}
