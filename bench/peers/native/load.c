/* Puts load on a port in a closed loop and prints what came of it as JSON.
 *
 *   load --ports 8080[,8081] --request FILE[,FILE...] --connections N --seconds S
 *        [--think-ms T] [--events E] [--ramp-ms R] [--first N] [--once] [--patience S] [--report-ms R]
 *        [--opening N]
 *
 * A FILE is a whole HTTP request. Ten @ in it become the request's number, ten $ the connection's, so that no two
 * requests are alike, and those of one connection can be of one conversation; several files are its turns, over and over.
 * Each connection asks, waits for the whole answer, thinks for T ms and asks again, until the seconds are over; what is
 * under way then is waited for. An answer counts when its status is 200 and it is complete: all its bytes, or for a
 * stream E events at least and `data: [DONE]` at its end. --opening: so many streams at most wait for their first event.
 * --once: each connection asks a single time. --report-ms: streams open and events so far on standard error, each R ms.
 * One thread; all the times of a run are kept and sorted.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { MOST_FILES = 64, MOST_PORTS = 8, WIDTH = 10, MOST_HEAD = 32768 };
enum state { RESTING, SENDING, HEAD, SIZED, CHUNK_SIZE, CHUNK, CHUNK_END, TRAILER, TO_CLOSE };

struct request {
    char *bytes;
    size_t size;
    size_t *numbers, *connections; /* where the placeholders are */
    int number_count, connection_count;
};

struct connection {
    int fd, index, turn;
    enum state state;
    char *out;
    size_t room, size, sent, left; /* `left`: of the body or of the chunk */
    char head[MOST_HEAD];          /* or a chunk's size */
    size_t head_used;
    int status, closes, fresh;
    char line[16]; /* the beginning of a stream's line */
    size_t line_used;
    long line_size;
    int events, done, open, opening; /* its stream has begun; it is asked for and has not */
    int64_t due, started;
};

struct times {
    uint32_t *at;
    size_t used, room;
};

static struct request requests[MOST_FILES];
static int request_count, ports[MOST_PORTS], port_count, connection_count = 1, events_wanted, once;
static int64_t think_us, ramp_us, report_us, patience_us = 60000000, ends;
static double seconds = 1;
static uint64_t next_number = 1;
static struct connection *all;
static int epoll;
static struct times whole, first;
static long served, statuses, cuts, shorts, unconnected, event_total, reconnects;
static int open_now, most_open, resting, opening_now, opening_most = 1000000;
static int64_t last_answer;
static char first_bad[400];

static int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void keep(struct times *times, int64_t us) {
    if (times->used == times->room) {
        times->room = times->room ? times->room * 2 : 4096;
        if (!(times->at = realloc(times->at, times->room * sizeof *times->at))) abort();
    }
    times->at[times->used++] = (uint32_t)us;
}

/* ---- requests ---- */

static int find(const struct request *r, const char *mark, size_t **places) {
    int count = 0;
    *places = NULL;
    for (char *at = r->bytes; (at = memmem(at, r->size - (size_t)(at - r->bytes), mark, WIDTH)); at += WIDTH) {
        *places = realloc(*places, (size_t)(count + 1) * sizeof **places);
        (*places)[count++] = (size_t)(at - r->bytes);
    }
    return count;
}

static void read_request(const char *name) {
    if (request_count == MOST_FILES) exit(2);
    struct request *r = &requests[request_count++];
    struct stat about;
    int fd = open(name, O_RDONLY);
    if (fd < 0 || fstat(fd, &about)) {
        perror(name);
        exit(2);
    }
    r->size = (size_t)about.st_size;
    r->bytes = malloc(r->size + 1);
    if (read(fd, r->bytes, r->size) != (ssize_t)r->size) exit(2);
    close(fd);
    r->number_count = find(r, "@@@@@@@@@@", &r->numbers);
    r->connection_count = find(r, "$$$$$$$$$$", &r->connections);
}

static void fill(char *to, const size_t *places, int count, uint64_t number) {
    char digits[24];
    snprintf(digits, sizeof digits, "%010llu", (unsigned long long)(number % 10000000000ULL));
    for (int i = 0; i < count; i++) memcpy(to + places[i], digits, WIDTH);
}

/* ---- connections ---- */

static void watch(struct connection *c, uint32_t events, int how) {
    struct epoll_event wanted = {.events = events, .data.ptr = c};
    epoll_ctl(epoll, how, c->fd, &wanted);
}

static void rest(struct connection *c) {
    open_now -= c->open;
    opening_now -= c->opening;
    c->open = c->opening = 0;
    c->state = RESTING;
    resting++;
    c->due = once ? INT64_MAX : now() + think_us;
}

static void hang_up(struct connection *c) {
    if (c->fd >= 0) close(c->fd);
    c->fd = -1;
}

static void failed(struct connection *c, long *kind, const char *what) {
    ++*kind;
    if (!first_bad[0]) snprintf(first_bad, sizeof first_bad, "%s (status %d, %d events)", what, c->status, c->events);
    hang_up(c);
    rest(c);
    if (!once) c->due += 20000; /* a server that refuses is not hammered */
}

static int dial(struct connection *c) {
    int on = 1;
    struct sockaddr_in there = {.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)ports[c->index % port_count]),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&there, sizeof there)) return 0;
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    watch(c, EPOLLIN, EPOLL_CTL_ADD);
    c->fresh = 1;
    return 1;
}

static void push(struct connection *c) {
    while (c->sent < c->size) {
        ssize_t took = send(c->fd, c->out + c->sent, c->size - c->sent, MSG_NOSIGNAL);
        if (took < 0 && errno == EAGAIN) {
            watch(c, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
            return;
        }
        if (took < 0) {
            failed(c, &cuts, "broken off while sending");
            return;
        }
        c->sent += (size_t)took;
    }
    watch(c, EPOLLIN, EPOLL_CTL_MOD);
    c->state = HEAD;
}

static void transmit(struct connection *c) {
    c->state = SENDING;
    c->sent = c->head_used = c->line_used = 0;
    c->line_size = 0;
    c->status = c->closes = c->events = c->done = 0;
    push(c);
}

static void ask(struct connection *c) {
    struct request *r = &requests[c->turn++ % request_count];
    resting--;
    c->opening = 1;
    opening_now++;
    if (r->size > c->room) c->out = realloc(c->out, c->room = r->size);
    memcpy(c->out, r->bytes, c->size = r->size);
    fill(c->out, r->numbers, r->number_count, next_number++);
    fill(c->out, r->connections, r->connection_count, (uint64_t)c->index + 1);
    c->started = now();
    if (c->fd < 0 && !dial(c)) {
        failed(c, &unconnected, "no connection");
        return;
    }
    transmit(c);
}

/* ---- answers ---- */

static void complete(struct connection *c) {
    int64_t at = now();
    if (c->status != 200) {
        failed(c, &statuses, c->head);
        return;
    }
    if (events_wanted && (!c->done || c->events < events_wanted)) {
        failed(c, &shorts, "an incomplete stream");
        return;
    }
    keep(&whole, at - c->started);
    served++;
    last_answer = at;
    c->fresh = 0;
    if (c->closes) hang_up(c);
    rest(c);
}

static void line(struct connection *c) {
    if (c->line_size >= 5 && !memcmp(c->line, "data:", 5)) {
        if (!c->events++) {
            keep(&first, now() - c->started);
            opening_now -= c->opening;
            c->opening = 0;
            c->open = 1;
            if (++open_now > most_open) most_open = open_now;
        }
        event_total++;
        if (c->line_used >= 12 && memmem(c->line, c->line_used, "[DONE]", 6)) c->done = 1;
    }
    c->line_used = 0;
    c->line_size = 0;
}

static void hear(struct connection *c, const char *body, size_t size) {
    if (!events_wanted) return;
    while (size) {
        const char *end = memchr(body, '\n', size);
        size_t piece = end ? (size_t)(end - body) : size;
        size_t kept = piece < sizeof c->line - c->line_used ? piece : sizeof c->line - c->line_used;
        memcpy(c->line + c->line_used, body, kept);
        c->line_used += kept;
        c->line_size += (long)piece;
        if (end) line(c);
        body += piece + (end ? 1 : 0);
        size -= piece + (end ? 1 : 0);
    }
}

/* Takes bytes up to the end of a line into `head`; 1 when it is there. */
static int up_to_line(struct connection *c, const char **at, const char *end) {
    while (*at < end && c->head_used < MOST_HEAD - 1) {
        char byte = *(*at)++;
        if (byte == '\n') {
            c->head[c->head_used] = 0;
            c->head_used = 0;
            return 1;
        }
        c->head[c->head_used++] = byte;
    }
    return 0;
}

static void begin_body(struct connection *c) {
    char *length = strcasestr(c->head, "\r\ncontent-length:");
    c->status = atoi(c->head + 9);
    c->closes = strcasestr(c->head, "\r\nconnection: close") != NULL;
    if (strcasestr(c->head, "\r\ntransfer-encoding: chunked")) {
        c->state = CHUNK_SIZE;
    } else if (length) {
        c->left = strtoul(length + 17, NULL, 10);
        c->state = SIZED;
    } else {
        c->closes = 1;
        c->state = TO_CLOSE;
    }
    c->head_used = 0;
}

/* The head up to its blank line; 1 when it is there. */
static int up_to_body(struct connection *c, const char **at, const char *end) {
    while (*at < end && c->head_used < MOST_HEAD - 1) {
        c->head[c->head_used++] = *(*at)++;
        if (c->head_used >= 4 && !memcmp(c->head + c->head_used - 4, "\r\n\r\n", 4)) {
            c->head[c->head_used] = 0;
            return 1;
        }
    }
    return 0;
}

static void take(struct connection *c, const char *at, const char *end) {
    while (at < end && c->state != RESTING) {
        size_t here = (size_t)(end - at);
        switch (c->state) {
        case HEAD:
        case SENDING: /* an early refusal */
            if (up_to_body(c, &at, end)) {
                begin_body(c);
                if (c->state == SIZED && !c->left) complete(c);
            }
            break;
        case SIZED:
        case CHUNK:
            if (here > c->left) here = c->left;
            hear(c, at, here);
            at += here;
            c->left -= here;
            if (c->left) break;
            if (c->state == SIZED)
                complete(c);
            else
                c->state = CHUNK_END;
            break;
        case CHUNK_SIZE:
            if (!up_to_line(c, &at, end)) break;
            c->left = strtoul(c->head, NULL, 16);
            c->state = c->left ? CHUNK : TRAILER;
            break;
        case CHUNK_END:
            if (up_to_line(c, &at, end)) c->state = CHUNK_SIZE;
            break;
        case TRAILER:
            if (up_to_line(c, &at, end) && (c->head[0] == '\r' || !c->head[0])) complete(c);
            break;
        case TO_CLOSE:
            hear(c, at, here);
            at += here;
            break;
        default:
            break;
        }
    }
}

static void closed(struct connection *c) {
    if (c->state == RESTING) {
        hang_up(c);
        return;
    }
    if (c->state == TO_CLOSE) {
        complete(c);
        return;
    }
    /* A server may close a connection that it kept just when we ask again; that is asked once more, as clients do. */
    if (c->state <= HEAD && !c->head_used && !c->fresh) {
        hang_up(c);
        reconnects++;
        if (dial(c)) {
            transmit(c);
            return;
        }
    }
    failed(c, &cuts, "broken off");
}

static void receive(struct connection *c) {
    static char piece[262144];
    ssize_t got = recv(c->fd, piece, sizeof piece, 0);
    if (got > 0)
        take(c, piece, piece + got);
    else if (got == 0 || errno != EAGAIN)
        closed(c);
}

/* ---- the run ---- */

/* Asks on each connection whose time has come; milliseconds until the next one's. */
static int ask_all_due(void) {
    int64_t at = now(), soonest = INT64_MAX;
    if (at >= ends && !once) return 50;
    for (int i = 0; i < connection_count; i++) {
        if (all[i].state != RESTING || all[i].due == INT64_MAX) continue;
        if (all[i].due <= at && opening_now < opening_most) ask(&all[i]);
        if (all[i].state == RESTING && all[i].due < soonest) soonest = all[i].due;
    }
    if (soonest == INT64_MAX) return 50;
    /* What waits for its turn to open is asked when another's first event has come, which wakes this up. */
    if (soonest <= at && opening_now >= opening_most) return 50;
    int64_t wait = (soonest - at + 999) / 1000;
    return wait < 0 ? 0 : wait > 50 ? 50 : (int)wait;
}

static void run(void) {
    int64_t began = now();
    struct epoll_event ready[256];
    ends = began + (int64_t)(seconds * 1e6);
    last_answer = began;
    for (int i = 0; i < connection_count; i++) {
        all[i].fd = -1;
        all[i].index = i;
        all[i].due = began + ramp_us * i / connection_count;
    }
    resting = connection_count;
    int unasked = 1;
    int64_t report_at = began;
    for (;;) {
        /* Streams open and events so far, for whoever watches the peer meanwhile. */
        if (report_us && now() >= report_at) {
            fprintf(stderr, "%d %ld\n", open_now, event_total);
            report_at += report_us;
        }
        int wait = resting ? ask_all_due() : 50;
        unasked = 0;
        if (once)
            for (int i = 0; i < connection_count; i++) unasked |= all[i].due != INT64_MAX && all[i].state == RESTING;
        if (resting == connection_count && !unasked && (once || now() >= ends)) break;
        if (now() > ends + patience_us) break;
        int many = epoll_wait(epoll, ready, 256, wait);
        for (int i = 0; i < many; i++) {
            struct connection *c = ready[i].data.ptr;
            if (c->fd >= 0 && c->state == SENDING && ready[i].events & EPOLLOUT) push(c);
            if (c->fd >= 0 && ready[i].events & ~(uint32_t)EPOLLOUT) receive(c);
        }
    }
    double took = (double)(last_answer - began) / 1e6;
    seconds = took > 0 ? took : 1e-6;
}

static int by_size(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void print_times(const char *name, struct times *times) {
    if (times->used) qsort(times->at, times->used, sizeof *times->at, by_size);
    printf("\"%s_ms\":", name);
    if (!times->used) {
        printf("null,");
        return;
    }
    /* The smallest value that at least this share does not pass. */
    size_t half = (times->used + 1) / 2 - 1, most = (times->used * 99 + 99) / 100 - 1;
    printf("{\"p50\":%.3f,\"p99\":%.3f,\"max\":%.3f},", times->at[half] / 1e3, times->at[most] / 1e3,
           times->at[times->used - 1] / 1e3);
}

static void print_text(const char *text) {
    for (; *text; text++) putchar(*text < ' ' || *text == '"' || *text == '\\' || *text > '~' ? ' ' : *text);
}

static void list(char *names, void (*each)(const char *)) {
    for (char *name = strtok(names, ","); name; name = strtok(NULL, ",")) each(name);
}

static void read_port(const char *name) {
    if (port_count < MOST_PORTS) ports[port_count++] = atoi(name);
}

static void read_words(int count, char **words) {
    for (int i = 1; i < count; i++) {
        char *name = words[i];
        if (!strcmp(name, "--once")) {
            once = 1;
            continue;
        }
        if (++i == count) exit(2);
        if (!strcmp(name, "--ports")) list(words[i], read_port);
        else if (!strcmp(name, "--request")) list(words[i], read_request);
        else if (!strcmp(name, "--connections")) connection_count = atoi(words[i]);
        else if (!strcmp(name, "--seconds")) seconds = atof(words[i]);
        else if (!strcmp(name, "--think-ms")) think_us = (int64_t)(atof(words[i]) * 1000);
        else if (!strcmp(name, "--ramp-ms")) ramp_us = (int64_t)(atof(words[i]) * 1000);
        else if (!strcmp(name, "--events")) events_wanted = atoi(words[i]);
        else if (!strcmp(name, "--report-ms")) report_us = (int64_t)(atof(words[i]) * 1000);
        else if (!strcmp(name, "--opening")) opening_most = atoi(words[i]);
        else if (!strcmp(name, "--first")) next_number = strtoull(words[i], NULL, 10);
        else if (!strcmp(name, "--patience")) patience_us = (int64_t)(atof(words[i]) * 1e6);
        else exit(2);
    }
}

int main(int count, char **words) {
    read_words(count, words);
    if (!port_count || !request_count || connection_count < 1) {
        fprintf(stderr, "usage: load --ports P --request FILE --connections N --seconds S ...\n");
        return 2;
    }
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    epoll = epoll_create1(0);
    all = calloc((size_t)connection_count, sizeof *all);
    run();
    printf("{\"served\":%ld,\"seconds\":%.4f,\"per_second\":%.1f,", served, seconds, (double)served / seconds);
    print_times("whole", &whole);
    print_times("first", &first);
    printf("\"events\":%ld,\"most_open\":%d,\"reconnects\":%ld,", event_total, most_open, reconnects);
    printf("\"errors\":%ld,\"unfinished\":%d,\"first_error\":\"", statuses + cuts + shorts + unconnected,
           connection_count - resting);
    print_text(first_bad);
    printf("\"}\n");
    return 0;
}
