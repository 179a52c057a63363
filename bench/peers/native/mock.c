/* Answers OpenAI chat completions as each request wishes; a provider that costs next to nothing.
 *
 *   mock PORT
 *
 * The wish stands in the request's text, which every peer passes on: `bench-reply:EVENTS:WAIT:GAP;`, the last two in
 * microseconds. No events: a plain JSON answer after WAIT. Else a stream: the first event after WAIT, then one each GAP;
 * with neither, all at once. Nothing is validated. One thread; a timerfd a connection keeps the pace, so that the
 * kernel does the ordering.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

static const char PLAIN[] =
    "{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion\",\"created\":1741569952,\"model\":\"up\",\"choices\":[{\"index\":0,"
    "\"message\":{\"role\":\"assistant\",\"content\":\"It is mended.\"},\"logprobs\":null,\"finish_reason\":\"stop\"}],"
    "\"usage\":{\"prompt_tokens\":2000,\"completion_tokens\":40,\"total_tokens\":2040}}";
static const char STREAM_HEAD[] =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n";
static const char EVENT[] =
    "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1741569952,\"model\":\"up\",\"choices\":"
    "[{\"index\":0,\"delta\":{%s\"content\":\"word%d \"},\"finish_reason\":null}]}\n\n";
static const char LAST[] =
    "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1741569952,\"model\":\"up\",\"choices\":"
    "[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],"
    "\"usage\":{\"prompt_tokens\":2000,\"completion_tokens\":50,\"total_tokens\":2050}}\n\n";
static const char DONE[] = "data: [DONE]\n\n";

struct bytes {
    char *at;
    size_t used, room;
};

/* What epoll hands back: a connection's socket or its timer. */
struct source {
    struct connection *owner;
    int fd, is_timer;
};

struct connection {
    struct source socket, timer;
    struct bytes in, out;
    size_t sent;       /* of `out` */
    int events, told;  /* wished for, and sent */
    int busy, writing; /* an answer is under way; EPOLLOUT is armed */
};

static int epoll;

static void add(struct bytes *to, const void *what, size_t size) {
    if (to->used + size > to->room) {
        to->room = (to->used + size) * 2;
        if (!(to->at = realloc(to->at, to->room))) abort();
    }
    memcpy(to->at + to->used, what, size);
    to->used += size;
}

static void watch(struct source *source, uint32_t events, int how) {
    struct epoll_event wanted = {.events = events, .data.ptr = source};
    epoll_ctl(epoll, how, source->fd, &wanted);
}

static void drop(struct connection *c) {
    close(c->socket.fd);
    if (c->timer.fd >= 0) close(c->timer.fd);
    free(c->in.at);
    free(c->out.at);
    c->socket.fd = -1;
    free(c);
}

/* 0 when the peer has gone. What the socket does not take waits for EPOLLOUT. */
static int flush(struct connection *c) {
    while (c->sent < c->out.used) {
        ssize_t took = send(c->socket.fd, c->out.at + c->sent, c->out.used - c->sent, MSG_NOSIGNAL);
        if (took < 0) {
            if (errno != EAGAIN) return 0;
            if (!c->writing) watch(&c->socket, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
            c->writing = 1;
            return 1;
        }
        c->sent += (size_t)took;
    }
    c->out.used = c->sent = 0;
    if (c->writing) watch(&c->socket, EPOLLIN, EPOLL_CTL_MOD);
    c->writing = 0;
    return 1;
}

static void chunk(struct connection *c, const char *text, size_t size) {
    char head[16];
    add(&c->out, head, (size_t)snprintf(head, sizeof head, "%zx\r\n", size));
    add(&c->out, text, size);
    add(&c->out, "\r\n", 2);
}

static void event(struct connection *c) {
    char text[400];
    const char *role = c->told ? "" : "\"role\":\"assistant\",";
    chunk(c, text, (size_t)snprintf(text, sizeof text, EVENT, role, c->told));
    c->told++;
}

static void finish(struct connection *c) {
    if (c->events) {
        chunk(c, LAST, sizeof LAST - 1);
        chunk(c, DONE, sizeof DONE - 1);
        add(&c->out, "0\r\n\r\n", 5);
    }
    c->busy = 0;
}

static void plain(struct connection *c) {
    char head[160];
    int size = snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
                        sizeof PLAIN - 1);
    add(&c->out, head, (size_t)size);
    add(&c->out, PLAIN, sizeof PLAIN - 1);
    finish(c);
}

static void set_timer(struct connection *c, long first_us, long each_us) {
    if (c->timer.fd < 0) {
        c->timer = (struct source){c, timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK), 1};
        watch(&c->timer, EPOLLIN, EPOLL_CTL_ADD);
    }
    if (!first_us) first_us = each_us;
    struct itimerspec when = {.it_value = {first_us / 1000000, first_us % 1000000 * 1000},
                              .it_interval = {each_us / 1000000, each_us % 1000000 * 1000}};
    timerfd_settime(c->timer.fd, 0, &when, NULL);
}

static void begin(struct connection *c, const char *body, size_t size) {
    static const char MARK[] = "bench-reply:";
    long wait = 0, gap = 0;
    const char *wish = memmem(body, size, MARK, sizeof MARK - 1);
    c->events = c->told = 0;
    c->busy = 1;
    /* The buffer ends in a zero byte, and a wish never at the body's end. */
    if (wish) sscanf(wish + sizeof MARK - 1, "%d:%ld:%ld;", &c->events, &wait, &gap);
    if (c->events) add(&c->out, STREAM_HEAD, sizeof STREAM_HEAD - 1);
    if (wait || gap) {
        /* The head goes out at once, as a provider's does. A plain answer's timer has no interval. */
        if (c->events && !wait) event(c);
        set_timer(c, wait, c->events ? (gap ? gap : 1) : 0);
        return;
    }
    if (!c->events) {
        plain(c);
        return;
    }
    while (c->told < c->events) event(c);
    finish(c);
}

/* A chunked body is joined in place; its size, or -1 while it is not whole. `raw` becomes what it took. */
static ssize_t unchunk(char *body, size_t size, size_t *raw) {
    size_t from = 0, to = 0;
    for (;;) {
        char *end = memmem(body + from, size - from, "\r\n", 2);
        if (!end) return -1;
        size_t piece = strtoul(body + from, NULL, 16), start = (size_t)(end - body) + 2;
        if (size < start + piece + 2) return -1;
        /* Only a whole body may be moved: look ahead first. */
        if (!piece) {
            *raw = start + 2;
            break;
        }
        from = start + piece + 2;
    }
    for (from = 0;;) {
        char *end = memmem(body + from, size - from, "\r\n", 2);
        size_t piece = strtoul(body + from, NULL, 16), start = (size_t)(end - body) + 2;
        if (!piece) return (ssize_t)to;
        memmove(body + to, body + start, piece);
        to += piece;
        from = start + piece + 2;
    }
}

/* Answers the requests that have come whole. */
static void serve(struct connection *c) {
    while (!c->busy && c->in.used) {
        add(&c->in, "", 1);
        c->in.used--;
        char *end = memmem(c->in.at, c->in.used, "\r\n\r\n", 4);
        if (!end) return;
        size_t head = (size_t)(end - c->in.at) + 4, raw = 0;
        *end = 0;
        char *length = strcasestr(c->in.at, "\r\ncontent-length:");
        int chunked = strcasestr(c->in.at, "\r\ntransfer-encoding: chunked") != NULL;
        *end = '\r';
        ssize_t size = length ? strtol(length + 17, NULL, 10) : 0;
        raw = (size_t)size;
        if (chunked)
            size = unchunk(c->in.at + head, c->in.used - head, &raw);
        else if (c->in.used < head + raw)
            size = -1;
        if (size < 0) return;
        if (strncmp(c->in.at, "POST", 4))
            plain(c);
        else
            begin(c, c->in.at + head, (size_t)size);
        c->in.used -= head + raw;
        memmove(c->in.at, c->in.at + head + raw, c->in.used);
    }
}

static int receive(struct connection *c) {
    char piece[65536];
    for (;;) {
        ssize_t got = recv(c->socket.fd, piece, sizeof piece, 0);
        if (got == 0 || (got < 0 && errno != EAGAIN)) return 0;
        if (got < 0) break;
        add(&c->in, piece, (size_t)got);
        if ((size_t)got < sizeof piece) break;
    }
    serve(c);
    return flush(c);
}

static int tick(struct connection *c) {
    uint64_t times;
    if (read(c->timer.fd, &times, sizeof times) < 0 || !c->busy) return 1;
    if (!c->events) {
        plain(c);
    } else {
        while (times-- && c->told < c->events) event(c);
        if (c->told < c->events) return flush(c);
        struct itimerspec never = {0};
        timerfd_settime(c->timer.fd, 0, &never, NULL);
        finish(c);
    }
    serve(c);
    return flush(c);
}

static void greet(int listener) {
    int fd, on = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        struct connection *c = calloc(1, sizeof *c);
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        c->socket = (struct source){c, fd, 0};
        c->timer.fd = -1;
        watch(&c->socket, EPOLLIN, EPOLL_CTL_ADD);
    }
}

static int listening(int port) {
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&here, sizeof here) || listen(fd, 4096)) {
        perror("mock");
        exit(1);
    }
    return fd;
}

int main(int count, char **words) {
    if (count != 2) {
        fprintf(stderr, "usage: mock PORT\n");
        return 2;
    }
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    epoll = epoll_create1(0);
    struct source door = {NULL, listening(atoi(words[1])), 0};
    watch(&door, EPOLLIN, EPOLL_CTL_ADD);
    struct epoll_event ready[256];
    for (;;) {
        int many = epoll_wait(epoll, ready, 256, -1);
        for (int i = 0; i < many; i++) {
            struct source *source = ready[i].data.ptr;
            if (!source || source->fd < 0) continue;
            struct connection *c = source->owner;
            if (!c) {
                greet(source->fd);
                continue;
            }
            int well = source->is_timer ? tick(c) : 1;
            if (!source->is_timer && ready[i].events & EPOLLOUT) well = flush(c);
            if (well && !source->is_timer && ready[i].events & ~EPOLLOUT) well = receive(c);
            if (well) continue;
            /* Its other source may be among those that are ready. */
            for (int later = i + 1; later < many; later++) {
                struct source *other = ready[later].data.ptr;
                if (other && other->owner == c) ready[later].data.ptr = NULL;
            }
            drop(c);
        }
    }
}
