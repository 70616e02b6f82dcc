/*
 * filter.c - asks a matcher about hosts, URLs and addresses, while a second thread keeps its lists current.
 *
 *     cc -std=c99 -pthread filter.c $(pkg-config --cflags --libs bwldfilter) -o filter
 *
 *     ./filter -f /var/lib/bwld-follow www.example.com     a followed folder
 *     ./filter -b blocked.txt -w allowed.txt < names.txt   list files; a question a line
 *
 * Prints a line for each question: verdict, question, rule, list, and what else a block page needs.
 */
#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bwld.h"

#define MOST_FILES 16

struct source {
    const char *path;
    int colour;
};

struct filter {
    bwld_matcher *matcher;
    int follows;
    struct source files[MOST_FILES];
    size_t n_files;
    long every_ms;
    /* Says to the second thread that it is time to go. */
    pthread_mutex_t lock;
    pthread_cond_t wake;
    int done;
};

/* What went wrong, on standard error. */
static int complain(const char *what, int error)
{
    char message[BWLD_MESSAGE_SIZE];
    bwld_last_error(message, sizeof message);
    fprintf(stderr, "filter: %s: %s: %s\n", what, bwld_error_text(error), message);
    return 1;
}

/* The name of a list: that of its file without folder and ending. */
static void list_name(const char *path, char name[BWLD_LIST_SIZE])
{
    const char *base = strrchr(path, '/');
    size_t n;
    base = base ? base + 1 : path;
    n = strcspn(base, ".");
    if (n >= BWLD_LIST_SIZE)
        n = BWLD_LIST_SIZE - 1;
    memcpy(name, base, n);
    name[n] = '\0';
}

/* Reads a whole file; NULL if that fails. The caller frees it. */
static char *read_file(const char *path, size_t *len)
{
    FILE *file = fopen(path, "rb");
    char *octets = NULL;
    size_t room = 0;
    *len = 0;
    while (file) {
        size_t got;
        if (*len == room) {
            char *more = realloc(octets, room = room ? 2 * room : 65536);
            if (!more)
                break;
            octets = more;
        }
        got = fread(octets + *len, 1, room - *len, file);
        *len += got;
        if (got == 0) {
            if (ferror(file))
                break;
            fclose(file);
            return octets;
        }
    }
    if (file)
        fclose(file);
    free(octets);
    return NULL;
}

static int load_file(struct filter *filter, const struct source *source)
{
    char name[BWLD_LIST_SIZE];
    bwld_loaded loaded;
    size_t len;
    char *octets = read_file(source->path, &len);
    int error;
    if (!octets) {
        fprintf(stderr, "filter: %s: %s\n", source->path, strerror(errno));
        return 1;
    }
    list_name(source->path, name);
    error = bwld_load_list(filter->matcher, name, source->colour, octets, len, 0, &loaded);
    /* The library keeps nothing of what it was passed. */
    free(octets);
    if (error)
        return complain(source->path, error);
    if (loaded.refused > 0) {
        char message[BWLD_MESSAGE_SIZE];
        bwld_last_error(message, sizeof message);
        fprintf(stderr, "filter: %s: %lu lines left out; %s\n", source->path, (unsigned long)loaded.refused, message);
    }
    return 0;
}

/* The second thread: looks whether there is anything new. Look-ups do not wait for it. A failure leaves what is there. */
static void *keep_current(void *argument)
{
    struct filter *filter = argument;
    pthread_mutex_lock(&filter->lock);
    while (!filter->done) {
        struct timespec until;
        size_t i;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += filter->every_ms / 1000;
        until.tv_nsec += filter->every_ms % 1000 * 1000000;
        if (until.tv_nsec >= 1000000000) {
            until.tv_sec++;
            until.tv_nsec -= 1000000000;
        }
        if (pthread_cond_timedwait(&filter->wake, &filter->lock, &until) != ETIMEDOUT)
            continue;
        pthread_mutex_unlock(&filter->lock);
        if (filter->follows) {
            int error = bwld_refresh(filter->matcher, NULL);
            if (error)
                complain("refresh", error);
        }
        for (i = 0; i < filter->n_files; i++)
            load_file(filter, &filter->files[i]);
        pthread_mutex_lock(&filter->lock);
    }
    pthread_mutex_unlock(&filter->lock);
    return NULL;
}

static void ask(const struct filter *filter, const char *question, size_t len)
{
    static const char *const words[] = {"no-data", "invalid", "block", "allow", "unlisted"};
    static const char *const actions[] = {"", "block", "warn", "log"};
    bwld_verdict verdict;
    bwld_texts texts;
    int error = bwld_look_up(filter->matcher, question, len, 0, &verdict, &texts);
    if (error) {
        complain("look-up", error);
        return;
    }
    printf("%s\t", words[verdict.kind]);
    fwrite(question, 1, len, stdout);
    printf("\t%s\t%s\t%s", texts.rule, texts.list, verdict.kind == BWLD_INVALID ? texts.invalid : texts.categories);
    if (verdict.action > BWLD_ACTION_BLOCK)
        printf("\t%s only", actions[verdict.action]);
    if (verdict.age > 0)
        printf("\tbelow %u years", verdict.age);
    if (texts.reference[0])
        printf("\treference %s", texts.reference);
    if (verdict.stale)
        printf("\tstale");
    if (verdict.incomplete)
        printf("\tincomplete");
    if (verdict.damaged)
        printf("\tdamaged");
    putchar('\n');
}

/* Questions from standard input, a line each. */
static void ask_lines(const struct filter *filter)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t n;
    while ((n = getline(&line, &room, stdin)) >= 0) {
        if (n > 0 && line[n - 1] == '\n')
            n--;
        ask(filter, line, (size_t)n);
        fflush(stdout);
    }
    free(line);
}

/* Which lists of the folder are not as they should be. */
static void say_problems(const struct filter *filter)
{
    bwld_list_state state;
    size_t i;
    for (i = 0; bwld_list(filter->matcher, i, 0, &state) == BWLD_OK; i++) {
        if (state.problem[0])
            fprintf(stderr, "filter: %s: %s\n", state.list, state.problem);
        else if (!state.present)
            fprintf(stderr, "filter: %s: not here yet\n", state.list);
    }
}

static int usage(void)
{
    fprintf(stderr, "usage: filter [-f FOLDER] [-b BLACK-LIST]... [-w WHITE-LIST]... [-d DENY] [-a ALLOW] [-p POLICY] [-r MS] [QUESTION]...\n");
    return 2;
}

/* Takes one option with its value; the matcher is there already. */
static int option(struct filter *filter, char letter, const char *value)
{
    int error = BWLD_OK;
    switch (letter) {
    case 'b':
    case 'w':
        if (filter->n_files == MOST_FILES)
            return usage();
        filter->files[filter->n_files].path = value;
        filter->files[filter->n_files].colour = letter == 'b' ? BWLD_BLACK : BWLD_WHITE;
        return load_file(filter, &filter->files[filter->n_files++]);
    case 'a':
        error = bwld_local_allow(filter->matcher, value, strlen(value));
        break;
    case 'd':
        error = bwld_local_deny(filter->matcher, value, strlen(value));
        break;
    case 'p':
        error = bwld_set_policy(filter->matcher, value, strlen(value));
        break;
    case 'r':
        filter->every_ms = strtol(value, NULL, 10);
        return filter->every_ms < 1 ? usage() : 0;
    default:
        return usage();
    }
    return error ? complain(value, error) : 0;
}

int main(int argc, char **argv)
{
    struct filter filter;
    pthread_t second;
    int at = 1, failed = 0, error;

    memset(&filter, 0, sizeof filter);
    filter.every_ms = 1000;
    if (bwld_abi() != BWLD_ABI) {
        fprintf(stderr, "filter: built for another version of libbwldfilter\n");
        return 1;
    }
    if (argc > 2 && strcmp(argv[1], "-f") == 0) {
        filter.follows = 1;
        at = 3;
        error = bwld_open_folder(argv[2], &filter.matcher);
    } else {
        error = bwld_new(&filter.matcher);
    }
    if (error)
        return complain("no matcher", error);
    say_problems(&filter);
    for (; !failed && at + 1 < argc && argv[at][0] == '-' && argv[at][1] != '\0'; at += 2)
        failed = option(&filter, argv[at][1], argv[at + 1]);
    if (failed) {
        bwld_close(filter.matcher);
        return failed;
    }
    pthread_mutex_init(&filter.lock, NULL);
    pthread_cond_init(&filter.wake, NULL);
    if (pthread_create(&second, NULL, keep_current, &filter) != 0) {
        fprintf(stderr, "filter: no second thread\n");
        bwld_close(filter.matcher);
        return 1;
    }
    if (at == argc)
        ask_lines(&filter);
    for (; at < argc; at++)
        ask(&filter, argv[at], strlen(argv[at]));

    pthread_mutex_lock(&filter.lock);
    filter.done = 1;
    pthread_cond_signal(&filter.wake);
    pthread_mutex_unlock(&filter.lock);
    pthread_join(second, NULL);
    bwld_close(filter.matcher);
    pthread_cond_destroy(&filter.wake);
    pthread_mutex_destroy(&filter.lock);
    return 0;
}
