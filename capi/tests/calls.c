/*
 * calls.c - calls every function of bwld.h in the ways that it forbids, and in those it allows; compiles as C99 and C++.
 * Says what does not hold, and ends with the number of such places.
 */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "bwld.h"

static int wrong;

#define HOLDS(what) \
    do { \
        if (!(what)) { \
            printf("line %d: %s\n", __LINE__, #what); \
            wrong++; \
        } \
    } while (0)

/* The layout that src/types.rs asserts on the other side. */
static void layout(void)
{
    HOLDS(sizeof(bwld_verdict) == 16 && offsetof(bwld_verdict, local) == 7 && offsetof(bwld_verdict, serial) == 8);
    HOLDS(sizeof(bwld_texts) == 3985 && offsetof(bwld_texts, reason) == 2928 && offsetof(bwld_texts, invalid) == 2961);
    HOLDS(sizeof(bwld_question) == 2 * sizeof(void *));
    HOLDS(sizeof(bwld_loaded) == 32 && offsetof(bwld_loaded, serial) == 24);
    HOLDS(sizeof(bwld_list_state) == 1368 && offsetof(bwld_list_state, colour) == 1342);
    HOLDS(offsetof(bwld_list_state, serial) == 1352 && offsetof(bwld_list_state, expires) == 1360);
}

static int ask(const bwld_matcher *m, const char *question, bwld_verdict *verdict, bwld_texts *texts)
{
    return bwld_look_up(m, question, strlen(question), 1795521600, verdict, texts);
}

static int load(bwld_matcher *m, const char *list, int colour, const char *text, bwld_loaded *loaded)
{
    return bwld_load_list(m, list, colour, text, strlen(text), 0, loaded);
}

/* Null pointers and numbers that mean nothing are refused, and what was to be filled holds the careful answer. */
static void refused(bwld_matcher *m)
{
    bwld_verdict verdict;
    bwld_texts texts;
    bwld_loaded loaded;
    bwld_list_state state;
    bwld_question question;
    char text[64];
    size_t needed = 7;
    bwld_matcher *none = m;
    int changed = 7;

    HOLDS(bwld_new(NULL) == BWLD_E_ARGUMENT);
    HOLDS(bwld_open_folder(".", NULL) == BWLD_E_ARGUMENT);
    HOLDS(bwld_open_folder(NULL, &none) == BWLD_E_ARGUMENT && none == NULL);
    HOLDS(bwld_open_folder("/nowhere/at all", &none) == BWLD_E_FILE && none == NULL);
    HOLDS(bwld_open_folder("\xff", &none) == BWLD_E_TEXT && none == NULL);
    HOLDS(bwld_refresh(m, &changed) == BWLD_E_NONE && changed == 0);
    HOLDS(bwld_refresh(NULL, NULL) == BWLD_E_ARGUMENT);
    bwld_close(NULL);
    memset(&verdict, 0xff, sizeof verdict);
    memset(&texts, 0xff, sizeof texts);
    HOLDS(bwld_look_up(NULL, "a.example", 9, 0, &verdict, &texts) == BWLD_E_ARGUMENT);
    HOLDS(verdict.kind == BWLD_NO_DATA && verdict.serial == 0 && texts.rule[0] == 0 && texts.invalid[0] == 0);
    HOLDS(bwld_look_up(m, "a.example", 9, 0, NULL, &texts) == BWLD_E_ARGUMENT);
    HOLDS(bwld_look_up(m, NULL, 9, 0, &verdict, NULL) == BWLD_E_ARGUMENT && verdict.kind == BWLD_NO_DATA);
    HOLDS(bwld_look_up(m, "a", (size_t)-1, 0, &verdict, NULL) == BWLD_E_ARGUMENT);
    HOLDS(bwld_look_up_batch(m, NULL, 1, 0, &verdict) == BWLD_E_ARGUMENT);
    question.text = "a.example";
    question.len = 9;
    HOLDS(bwld_look_up_batch(m, &question, 1, 0, NULL) == BWLD_E_ARGUMENT);
    HOLDS(bwld_look_up_batch(m, &question, (size_t)-1 / 8, 0, &verdict) == BWLD_E_ARGUMENT);
    HOLDS(bwld_look_up_batch(NULL, &question, 1, 0, &verdict) == BWLD_E_ARGUMENT);
    HOLDS(bwld_look_up_batch(NULL, NULL, 0, 0, NULL) == BWLD_OK);
    HOLDS(bwld_explain_json(m, "a.example", 9, 0, text, sizeof text, NULL) == BWLD_E_ARGUMENT);
    HOLDS(bwld_explain_json(NULL, "a.example", 9, 0, text, sizeof text, &needed) == BWLD_E_ARGUMENT && needed == 0 && !text[0]);
    HOLDS(load(NULL, "x", BWLD_BLACK, "a.example\n", NULL) == BWLD_E_ARGUMENT);
    HOLDS(load(m, "x", 3, "a.example\n", &loaded) == BWLD_E_ARGUMENT && loaded.rules == 0);
    HOLDS(load(m, "x", 0, "a.example\n", NULL) == BWLD_E_ARGUMENT);
    HOLDS(load(m, NULL, BWLD_BLACK, "a.example\n", NULL) == BWLD_E_ARGUMENT);
    HOLDS(load(m, "Not A Name", BWLD_BLACK, "a.example\n", NULL) == BWLD_E_TEXT);
    HOLDS(load(m, "\xff", BWLD_BLACK, "a.example\n", NULL) == BWLD_E_TEXT);
    HOLDS(load(m, "x", BWLD_BLACK, "<!DOCTYPE html><html>", NULL) == BWLD_E_TEXT);
    HOLDS(load(m, "x", BWLD_BLACK, "\x28\xb5\x2f\xfd broken", NULL) == BWLD_E_DAMAGED);
    HOLDS(load(m, NULL, 0, "bwld snapshot v1\norigin a\nlist x\ncolour black\nserial 1\nentries 2\n\ndomain:a.example\n", NULL)
          == BWLD_E_DAMAGED);
    HOLDS(bwld_expect_list(m, NULL, BWLD_BLACK) == BWLD_E_ARGUMENT);
    HOLDS(bwld_expect_list(m, "x", 0) == BWLD_E_ARGUMENT);
    HOLDS(bwld_drop_list(m, NULL) == BWLD_E_ARGUMENT);
    HOLDS(bwld_drop_list(m, "x") == BWLD_E_NONE);
    HOLDS(bwld_local_allow(NULL, "", 0) == BWLD_E_ARGUMENT);
    HOLDS(bwld_local_deny(m, "fine.example\n.\n", 15) == BWLD_E_TEXT);
    HOLDS(bwld_last_error(text, sizeof text) > 6 && memcmp(text, "line 2", 6) == 0);
    HOLDS(bwld_set_policy(m, "{\"age\": 300}", 12) == BWLD_E_TEXT);
    HOLDS(bwld_set_policy(m, "\xff", 1) == BWLD_E_TEXT);
    HOLDS(bwld_list(m, 0, 0, NULL) == BWLD_E_ARGUMENT);
    HOLDS(bwld_list(m, 0, 0, &state) == BWLD_E_NONE && state.origin[0] == 0);
    HOLDS(bwld_last_error(NULL, 0) > 0);
    HOLDS(bwld_last_error(text, 4) > 3 && strlen(text) == 3);
    HOLDS(ask(m, "fine.example", &verdict, NULL) == BWLD_OK && verdict.kind == BWLD_UNLISTED);
}

/* What is no question is an answer. */
static void invalid(const bwld_matcher *m)
{
    static char longest[9000];
    static const char *const none[] = {"", ".", "a..example", "\xff\xfe", "a b.example", "http://", "1.2.3.4.5", "ftp://a.example/"};
    bwld_verdict verdict;
    bwld_texts texts;
    size_t i;
    memset(longest, 'a', sizeof longest);
    for (i = 0; i < sizeof none / sizeof *none; i++) {
        HOLDS(ask(m, none[i], &verdict, &texts) == BWLD_OK && verdict.kind == BWLD_INVALID);
        HOLDS(texts.invalid[0] != 0 && texts.rule[0] == 0);
    }
    HOLDS(bwld_look_up(m, longest, sizeof longest, 0, &verdict, &texts) == BWLD_OK && verdict.kind == BWLD_INVALID);
    HOLDS(bwld_look_up(m, "a\0b.example", 11, 0, &verdict, NULL) == BWLD_OK && verdict.kind == BWLD_INVALID);
    HOLDS(bwld_look_up(m, NULL, 0, 0, &verdict, NULL) == BWLD_OK && verdict.kind == BWLD_INVALID);
}

static const char snapshot[] = "bwld snapshot v1\norigin lists.example.org\nlist adult\ncolour black\nserial 7\nentries 3\n\n"
                               "cidr:192.0.2.0/24\tcat=adult\tact=warn\n"
                               "prefix:four.example/a/\tcat=adult\tref=k3Jx0aZq\trsn=court\n"
                               "subtree:three.example\tcat=adult,dating\tage=18\tact=log\n";

static void answers(bwld_matcher *m)
{
    bwld_verdict verdict, batch[40];
    bwld_question questions[40];
    bwld_texts texts;
    bwld_loaded loaded;
    bwld_list_state state;
    char json[4096];
    size_t needed, i;

    HOLDS(bwld_expect_list(m, "adult", BWLD_BLACK) == BWLD_OK);
    HOLDS(ask(m, "a.example", &verdict, &texts) == BWLD_OK && verdict.kind == BWLD_NO_DATA && strcmp(texts.list, "adult") == 0);
    HOLDS(bwld_list(m, 0, 0, &state) == BWLD_OK && !state.present && state.colour == BWLD_BLACK);
    HOLDS(bwld_load_list(m, NULL, BWLD_WHITE, snapshot, sizeof snapshot - 1, 0, NULL) == BWLD_E_ARGUMENT);
    HOLDS(bwld_load_list(m, NULL, 0, snapshot, sizeof snapshot - 1, 1795521599, &loaded) == BWLD_OK);
    HOLDS(loaded.rules == 3 && loaded.refused == 0 && loaded.serial == 7);
    HOLDS(bwld_list(m, 0, 1795521600, &state) == BWLD_OK && state.present && state.stale && !state.local && state.serial == 7);
    HOLDS(strcmp(state.origin, "lists.example.org") == 0 && strcmp(state.list, "adult") == 0 && state.expires == 1795521599);
    HOLDS(bwld_list(m, 1, 0, &state) == BWLD_E_NONE);

    HOLDS(ask(m, "www.three.example", &verdict, &texts) == BWLD_OK && verdict.kind == BWLD_BLOCK && verdict.stale == 1);
    HOLDS(verdict.action == BWLD_ACTION_LOG && verdict.age == 18 && verdict.rule_kind == BWLD_RULE_SUBTREE && verdict.serial == 7);
    HOLDS(strcmp(texts.rule, "subtree:three.example") == 0 && strcmp(texts.categories, "adult,dating") == 0);
    HOLDS(strcmp(texts.origin, "lists.example.org") == 0 && texts.reference[0] == 0 && texts.invalid[0] == 0);
    HOLDS(ask(m, "https://four.example/a/b", &verdict, &texts) == BWLD_OK && verdict.rule_kind == BWLD_RULE_PREFIX);
    HOLDS(verdict.action == BWLD_ACTION_BLOCK && strcmp(texts.reference, "k3Jx0aZq") == 0 && strcmp(texts.reason, "court") == 0);
    HOLDS(ask(m, "192.0.2.77", &verdict, NULL) == BWLD_OK && verdict.action == BWLD_ACTION_WARN);
    HOLDS(verdict.rule_kind == BWLD_RULE_CIDR);

    HOLDS(bwld_set_policy(m, "{\"age\": 18}", 11) == BWLD_OK);
    HOLDS(ask(m, "three.example", &verdict, &texts) == BWLD_OK && verdict.kind == BWLD_UNLISTED && verdict.stale == 1);
    HOLDS(texts.rule[0] == 0 && texts.list[0] == 0);
    HOLDS(bwld_set_policy(m, NULL, 0) == BWLD_OK);
    HOLDS(bwld_local_allow(m, "# ours\nsubtree:three.example\n", 29) == BWLD_OK);
    HOLDS(ask(m, "three.example", &verdict, NULL) == BWLD_OK && verdict.kind == BWLD_ALLOW && verdict.local && verdict.action == 0);
    HOLDS(bwld_local_deny(m, "www.three.example", 17) == BWLD_OK);
    HOLDS(ask(m, "www.three.example", &verdict, NULL) == BWLD_OK && verdict.kind == BWLD_BLOCK && verdict.local);
    HOLDS(bwld_local_deny(m, NULL, 0) == BWLD_OK && bwld_local_allow(m, NULL, 0) == BWLD_OK);
    HOLDS(load(m, "white", BWLD_WHITE, "www.three.example\nnot a rule\n", &loaded) == BWLD_OK);
    HOLDS(loaded.rules == 1 && loaded.refused == 1 && loaded.first_line == 2 && loaded.serial == 0);
    HOLDS(ask(m, "www.three.example", &verdict, NULL) == BWLD_OK && verdict.kind == BWLD_ALLOW && verdict.serial == 0);

    for (i = 0; i < 40; i++) {
        questions[i].text = i % 4 == 0 ? "three.example" : i % 4 == 1 ? "http://" : i % 4 == 2 ? "www.three.example" : "a.example";
        questions[i].len = strlen(questions[i].text);
    }
    questions[39].text = NULL;
    HOLDS(bwld_look_up_batch(m, questions, 40, 1795521600, batch) == BWLD_OK);
    for (i = 0; i < 39; i++) {
        HOLDS(ask(m, questions[i].text, &verdict, NULL) == BWLD_OK && memcmp(&verdict, &batch[i], sizeof verdict) == 0);
        HOLDS(verdict.kind == (i % 4 == 0 ? BWLD_BLOCK : i % 4 == 1 ? BWLD_INVALID : i % 4 == 2 ? BWLD_ALLOW : BWLD_UNLISTED));
    }
    HOLDS(batch[39].kind == BWLD_INVALID);

    HOLDS(bwld_explain_json(m, "www.three.example", 17, 0, NULL, 0, &needed) == BWLD_OK && needed > 100 && needed < sizeof json);
    HOLDS(bwld_explain_json(m, "www.three.example", 17, 0, json, sizeof json, &needed) == BWLD_OK && strlen(json) == needed);
    HOLDS(strstr(json, "\"outcome\":\"overruled\"") && strstr(json, "\"rule\":\"subtree:three.example\""));
    HOLDS(bwld_explain_json(m, "..", 2, 0, json, sizeof json, &needed) == BWLD_OK && strstr(json, "\"verdict\":\"invalid\""));

    HOLDS(bwld_drop_list(m, "white") == BWLD_OK && bwld_drop_list(m, "white") == BWLD_E_NONE);
    HOLDS(bwld_drop_list(m, "adult") == BWLD_OK && bwld_list(m, 0, 0, &state) == BWLD_E_NONE);
    HOLDS(ask(m, "three.example", &verdict, NULL) == BWLD_OK && verdict.kind == BWLD_UNLISTED);
}

int main(void)
{
    bwld_matcher *m = NULL;
    int error;
    layout();
    HOLDS(bwld_abi() == BWLD_ABI && bwld_version()[0] != 0);
    for (error = -8; error < 2; error++)
        HOLDS(bwld_error_text(error)[0] != 0);
    HOLDS(bwld_new(&m) == BWLD_OK && m != NULL);
    refused(m);
    invalid(m);
    answers(m);
    bwld_close(m);
    return wrong;
}
