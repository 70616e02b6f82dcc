/*
 * bwld.h - the matching core of bwld for filters in C and C++.
 *
 * Host, URL or address in, verdict out. Link with -lbwldfilter (see docs/MATCHING.md, From C).
 *
 *     bwld_matcher *filter;
 *     bwld_verdict verdict;
 *     if (bwld_open_folder("/var/lib/bwld-follow", &filter) != BWLD_OK) { ... bwld_last_error() ... }
 *     bwld_look_up(filter, "www.example.com", 15, 0, &verdict, NULL);
 *     if (verdict.kind == BWLD_BLOCK) ...
 *     bwld_close(filter);
 *
 * Threads.   A matcher may be used by any number of threads at once: look-ups take no lock and wait for nobody, also
 *            while another thread refreshes, loads or sets a policy. Each look-up, and each batch, sees one state of
 *            all lists. Only bwld_close must be alone: no other call on that matcher may be running or follow.
 * Ownership. A bwld_matcher belongs to the library: it is made by bwld_new or bwld_open_folder and given back by
 *            bwld_close. Everything else belongs to the caller, both what is passed in, which is not kept after the
 *            call, and what is filled. No pointer into the library is ever handed out, so nothing dangles when lists
 *            change.
 * Errors.    Functions that can fail return BWLD_OK (0) or a negative BWLD_E_...; bwld_last_error says more. What a
 *            function was to fill is then filled with the careful answer: BWLD_NO_DATA, empty texts. Whatever failed
 *            has changed nothing.
 * Texts      that come in with a length need no NUL at their end; what is a "string" does. Texts that go out always
 *            end in NUL. All are UTF-8, all but messages plain ASCII.
 * Time       is in seconds since 1970 (time(NULL)); 0 lets the library read the system's clock.
 * Memory     that cannot be had ends the process, as it does in every Rust program. No panic crosses the border: a
 *            mistake inside the library comes out as BWLD_E_INTERNAL.
 */
#ifndef BWLD_H
#define BWLD_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The version of this interface; libbwldfilter.so.N has N. */
#define BWLD_ABI 1

/* ---- What functions return ---------------------------------------------------------------------------------- */

enum {
    BWLD_OK = 0,
    BWLD_E_ARGUMENT = -1, /* a null pointer, a number that is none of those named here, a length beyond memory */
    BWLD_E_TEXT = -2,     /* a text that is not what was asked for: not UTF-8, no rule, no list, no policy */
    BWLD_E_FILE = -3,     /* a file or folder that is not there, not readable, or not a follower's */
    BWLD_E_DAMAGED = -4,  /* an index or a list that is damaged */
    BWLD_E_NONE = -5,     /* there is no such list, or no folder */
    BWLD_E_INTERNAL = -6  /* a mistake in the library; the matcher can still be used */
};

/* ---- Verdicts ----------------------------------------------------------------------------------------------- */

/* bwld_verdict.kind. 0 is the one that promises nothing. */
enum {
    BWLD_NO_DATA = 0,  /* no rule decided, and a list is missing or damaged: nobody knows */
    BWLD_INVALID = 1,  /* the question is no host, URL or address: refuse what was asked for */
    BWLD_BLOCK = 2,    /* a black rule decided; see action */
    BWLD_ALLOW = 3,    /* a white rule decided */
    BWLD_UNLISTED = 4  /* no rule that counts, and every list is here */
};

/* bwld_verdict.action, for BWLD_BLOCK. */
enum {
    BWLD_ACTION_NONE = 0,
    BWLD_ACTION_BLOCK = 1, /* block */
    BWLD_ACTION_WARN = 2,  /* show a warning that the user can pass */
    BWLD_ACTION_LOG = 3    /* only log */
};

/* bwld_verdict.rule_kind: what the rule that decided matches. */
enum {
    BWLD_RULE_NONE = 0,
    BWLD_RULE_DOMAIN = 1,  /* exactly this host */
    BWLD_RULE_SUBTREE = 2, /* this host and every host under it */
    BWLD_RULE_URL = 3,     /* exactly this URL */
    BWLD_RULE_PREFIX = 4,  /* every URL that begins so */
    BWLD_RULE_CIDR = 5     /* addresses */
};

/* Colours of lists. */
enum {
    BWLD_BLACK = 1, /* its rules block */
    BWLD_WHITE = 2  /* its rules allow */
};

/* An answer: 16 octets, no pointers; copy it as you like, keep it as long as you like. */
typedef struct bwld_verdict {
    uint8_t kind;       /* BWLD_NO_DATA, BWLD_INVALID, BWLD_BLOCK, BWLD_ALLOW or BWLD_UNLISTED */
    uint8_t action;     /* BWLD_ACTION_...; BWLD_ACTION_NONE unless kind is BWLD_BLOCK */
    uint8_t age;        /* the rule is for those younger than this many years; 0: for all */
    uint8_t rule_kind;  /* BWLD_RULE_... */
    uint8_t stale;      /* 1: what it rests on is past its expiry: genuine, and perhaps superseded */
    uint8_t incomplete; /* 1: a rule decided, yet another list, which could have decided otherwise, is missing or damaged */
    uint8_t damaged;    /* 1: an index is damaged where it was to be read */
    uint8_t local;      /* 1: one of the filter's own rules decided */
    uint64_t serial;    /* the version of the list that decided; 0: none, or a list without versions */
} bwld_verdict;

/* Room for the longest texts there can be (docs/PROTOCOL.md, sections 2 to 4), NUL included. */
#define BWLD_RULE_SIZE 2049
#define BWLD_ORIGIN_SIZE 254
#define BWLD_LIST_SIZE 64
#define BWLD_CATEGORIES_SIZE 528
#define BWLD_REFERENCE_SIZE 33
#define BWLD_REASON_SIZE 33
#define BWLD_MESSAGE_SIZE 1024

/* Who decided, and why: what a block page or a log shows. Each text is empty if there is none. Owned by the caller. */
typedef struct bwld_texts {
    char rule[BWLD_RULE_SIZE];             /* "subtree:adult.example" */
    char origin[BWLD_ORIGIN_SIZE];         /* whose list; with BWLD_NO_DATA, of the list that is missing */
    char list[BWLD_LIST_SIZE];             /* which list; as above */
    char categories[BWLD_CATEGORIES_SIZE]; /* "adult,dating", ascending */
    char reference[BWLD_REFERENCE_SIZE];   /* public, to be quoted in a complaint */
    char reason[BWLD_REASON_SIZE];         /* a reason code of the publisher */
    char invalid[BWLD_MESSAGE_SIZE];       /* with BWLD_INVALID: what is wrong with the question, cut if it is longer */
} bwld_texts;

/* ---- A matcher ---------------------------------------------------------------------------------------------- */

typedef struct bwld_matcher bwld_matcher;

/* A matcher without lists: everything is BWLD_UNLISTED until one is loaded or expected, so say at once what you expect. Puts it into *matcher (NULL on
 * error); give it back with bwld_close. */
int bwld_new(bwld_matcher **matcher);

/* A matcher of the lists that a follower keeps in a folder (bwld follow, or bwld pull, with follow.index). path, a string,
 * is the follower's folder. A list that never arrived, or cannot be read, is there without content: bwld_list says why, and what no
 * other list decides is BWLD_NO_DATA. Opening takes milliseconds, whatever the size of the lists: files are
 * mapped. The follower never changes or shortens a file that is there; who else does so ends the process (SIGBUS).
 * Puts the matcher into *matcher (NULL on error); give it back with bwld_close. */
int bwld_open_folder(const char *path, bwld_matcher **matcher);

/* Takes over what the follower has changed in the folder since, under running look-ups; local rules, policy and lists loaded
 * from elsewhere stay. Call it now and then, in one thread, say each second: without a change it reads one folder and the time of
 * one file a list. *changed, if not NULL, becomes 1 if anything was new, else 0. BWLD_E_NONE if there is no folder. */
int bwld_refresh(bwld_matcher *matcher, int *changed);

/* Gives a matcher back. NULL is allowed. No other thread may be using it. */
void bwld_close(bwld_matcher *matcher);

/* ---- Lists without a follower ------------------------------------------------------------------------------- */

/* What was loaded. */
typedef struct bwld_loaded {
    uint64_t rules;      /* rules that count from now on */
    uint64_t refused;    /* lines that are no rule and were left out */
    uint64_t first_line; /* the number, from 1, of the first such line; bwld_last_error has its reason. 0: none */
    uint64_t serial;     /* the version, if the text is a snapshot; else 0 */
} bwld_loaded;

/* Puts a list in, or exchanges the one of that name, under running look-ups.
 *
 * octets  a snapshot ("bwld snapshot v1", plain or compressed with zstd), which must be whole and canonical; or a
 *         file of domains, hosts, CSV or rules, in which lines that are no rule are counted and left out. The signature is
 *         not looked at: load what you have verified, or follow (bwld_open_folder).
 * list    its name, a string of a-z, 0-9 and -, of no list of the folder; NULL takes the snapshot's.
 * colour  BWLD_BLACK or BWLD_WHITE; 0 takes the snapshot's. One that contradicts the snapshot is an error.
 * expires when it is stale; 0: never.
 * loaded  is filled; may be NULL.
 *
 * Takes about a second a million rules, and memory of some 150 octets a rule meanwhile. */
int bwld_load_list(bwld_matcher *matcher, const char *list, int colour, const void *octets, size_t len, uint64_t expires,
                   bwld_loaded *loaded);

/* Says that a list of this name and colour is wanted though it is not here yet: until it is loaded, what no other list
 * decides is BWLD_NO_DATA, not BWLD_UNLISTED. A list that is here stays as it is. */
int bwld_expect_list(bwld_matcher *matcher, const char *list, int colour);

/* Takes out a list that was loaded or expected. BWLD_E_NONE if there is none of that name. Lists of the folder come and go with
 * the folder; local rules are set to nothing. */
int bwld_drop_list(bwld_matcher *matcher, const char *list);

/* ---- The filter's own decisions ----------------------------------------------------------------------------- */

/* Exchanges the rules that this filter allows (or denies) by itself; they stand over every list and over the policy. Between
 * the two the more specific rule wins, and allow if both are equally specific. One rule a line, as people write them
 * ("example.com", "subtree:example.com", "example.com/path", "192.0.2.0/24"); empty lines and lines that begin with #
 * are passed over; len 0 takes all away. BWLD_E_TEXT names the first line that is no rule. */
int bwld_local_allow(bwld_matcher *matcher, const char *rules, size_t len);
int bwld_local_deny(bwld_matcher *matcher, const char *rules, size_t len);

/* Sets which rules count, as JSON; len 0 restores what holds at first. All members are optional:
 *
 *     {"precedence": "white-over-black",         or "black-over-white", "more-specific"
 *      "categories": "all",                      or {"only": ["adult"]}, {"except": ["dating"]}
 *      "age": 16}                                black rules for younger people do not count; null: all count
 *
 * BWLD_E_TEXT if it is not of that form. */
int bwld_set_policy(bwld_matcher *matcher, const char *json, size_t len);

/* ---- Look-ups ----------------------------------------------------------------------------------------------- */

/* Looks up a host ("example.com", "example.com:8443"), a URL ("https://example.com/path", "example.com/path") or an
 * address ("192.0.2.1", "[2001:db8::1]"), len octets of any content. A question longer than 8192 octets, not UTF-8 or
 * otherwise impossible gets BWLD_INVALID; that is an answer, not an error.
 *
 * Fills *verdict, and *texts unless it is NULL. Verdict and texts are of one state of the lists. Without texts nothing
 * is allocated for a host in ASCII, an address, or a URL of a host in canonical form. With texts, what the rule says is
 * read and copied when a rule decided; otherwise texts cost nothing. */
int bwld_look_up(const bwld_matcher *matcher, const char *question, size_t len, uint64_t now, bwld_verdict *verdict, bwld_texts *texts);

/* A question of a batch. */
typedef struct bwld_question {
    const char *text;
    size_t len;
} bwld_question;

/* Looks up n questions, faster than one by one because their reads from memory overlap; 32 or more at once are best. All
 * see one state of the lists. Fills verdicts[0] to verdicts[n - 1]. */
int bwld_look_up_batch(const bwld_matcher *matcher, const bwld_question *questions, size_t n, uint64_t now, bwld_verdict *verdicts);

/* Says why, for people: every rule that the question meets and what became of it, as one JSON object. Works like
 * snprintf: copies at most size octets, NUL included, into buffer (which may be NULL if size is 0), and puts the whole
 * length without NUL into *needed. Lists may change between two calls: repeat until *needed < size. */
int bwld_explain_json(const bwld_matcher *matcher, const char *question, size_t len, uint64_t now, char *buffer, size_t size,
                      size_t *needed);

/* ---- Lists as they are -------------------------------------------------------------------------------------- */

/* The state of a list, for monitoring. */
typedef struct bwld_list_state {
    char origin[BWLD_ORIGIN_SIZE];
    char list[BWLD_LIST_SIZE];
    char problem[BWLD_MESSAGE_SIZE]; /* why the list of a folder could not be read as it is there now; empty if it could */
    uint8_t colour;   /* BWLD_BLACK or BWLD_WHITE */
    uint8_t present;  /* 0: its content never arrived */
    uint8_t stale;    /* 1: past its expiry */
    uint8_t local;    /* 1: the filter's own rules */
    uint64_t serial;  /* 0: none */
    uint64_t expires; /* 0: never */
} bwld_list_state;

/* Fills *state for the list with this number, from 0; BWLD_E_NONE behind the last. Waits for a refresh that is running. */
int bwld_list(const bwld_matcher *matcher, size_t number, uint64_t now, bwld_list_state *state);

/* ---- The library -------------------------------------------------------------------------------------------- */

/* Its version, such as "0.1.0". A constant; not to be freed. */
const char *bwld_version(void);

/* BWLD_ABI as the library was built. */
unsigned bwld_abi(void);

/* What a BWLD_OK or BWLD_E_... means, in a few words. A constant; not to be freed. */
const char *bwld_error_text(int error);

/* What the last call of this thread that returned an error, or left lines out, has to say. Works like snprintf: copies at
 * most size octets, NUL included, and returns the whole length without NUL. */
size_t bwld_last_error(char *buffer, size_t size);

#ifdef __cplusplus
}
#endif

#endif
