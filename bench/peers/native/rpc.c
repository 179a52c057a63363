/* Calls a unary gRPC method over and over, and prints as JSON how many calls came to an answer.
 *
 *   rpc --port P --method /package.Service/Method --message FILE --connections N --streams M --seconds S [--first F]
 *
 * FILE is the request's message as protobuf writes it; ten @ in it become a number that no other request has. N
 * connections with M calls under way on each, in a closed loop. A grpc client in Python costs a third of what the router
 * does; this speaks just enough HTTP/2 to ask (RFC 9113): it reads no header block, so a call is served when a message
 * came before its end, and failed otherwise.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE };
enum { END_STREAM = 1, ACK = 1, END_HEADERS = 4, FRAME = 16384, WIDTH = 10, INITIAL_WINDOW = 4, MOST = 64 };
static const uint32_t WHOLE_WINDOW = 0x7fffffff;

struct call {
    uint32_t id; /* 0: none under way */
    char *message;
    size_t sent;
    int64_t window, began;
    size_t got;
};

struct connection {
    int fd, going;
    uint32_t next_id;
    int64_t window, initial;
    char *in, *out;
    size_t in_used, in_room, out_used, out_room, out_sent;
    struct call calls[MOST];
};

static char *message, headers[1024];
static size_t message_size, headers_size, places[512];
static int place_count, port, connection_count = 1, stream_count = 1;
static uint64_t next_number = 1;
static long served, failed;
static uint32_t *times;
static size_t time_count, time_room;
static int64_t ends, last_answer;

static int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void put(struct connection *c, const void *what, size_t size) {
    if (c->out_used + size > c->out_room) {
        c->out_room = (c->out_used + size) * 2;
        if (!(c->out = realloc(c->out, c->out_room))) abort();
    }
    memcpy(c->out + c->out_used, what, size);
    c->out_used += size;
}

static void frame(struct connection *c, int type, int flags, uint32_t id, const void *payload, size_t size) {
    unsigned char head[9] = {(unsigned char)(size >> 16), (unsigned char)(size >> 8), (unsigned char)size,
                             (unsigned char)type, (unsigned char)flags};
    uint32_t wire = htonl(id);
    memcpy(head + 5, &wire, 4);
    put(c, head, 9);
    put(c, payload, size);
}

static void header(const char *name, const char *value) {
    /* A literal that is never indexed, so that no table has to be kept. */
    headers[headers_size++] = 0;
    for (const char *text = name;; text = value) {
        size_t size = strlen(text);
        if (size > 126) exit(2);
        headers[headers_size++] = (char)size;
        memcpy(headers + headers_size, text, size);
        headers_size += size;
        if (text == value) return;
    }
}

static void dial(struct connection *c) {
    int on = 1;
    struct sockaddr_in there = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(c->fd, (struct sockaddr *)&there, sizeof there)) {
        perror("rpc");
        exit(1);
    }
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    c->next_id = 1;
    c->going = 0;
    c->window = c->initial = 65535;
    c->in_used = c->out_used = c->out_sent = 0;
    put(c, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24);
    unsigned char wide[6] = {0, INITIAL_WINDOW, 0x7f, 0xff, 0xff, 0xff};
    frame(c, SETTINGS, 0, 0, wide, 6);
    uint32_t more = htonl(WHOLE_WINDOW - 65535);
    frame(c, WINDOW_UPDATE, 0, 0, &more, 4);
}

/* As much of the message as the windows let through. */
static void transmit(struct connection *c, struct call *call) {
    while (call->sent < message_size && c->window > 0 && call->window > 0) {
        size_t piece = message_size - call->sent;
        if (piece > FRAME) piece = FRAME;
        if ((int64_t)piece > c->window) piece = (size_t)c->window;
        if ((int64_t)piece > call->window) piece = (size_t)call->window;
        int last = call->sent + piece == message_size;
        frame(c, DATA, last ? END_STREAM : 0, call->id, call->message + call->sent, piece);
        call->sent += piece;
        c->window -= (int64_t)piece;
        call->window -= (int64_t)piece;
    }
}

static void ask(struct connection *c, struct call *call) {
    char digits[24];
    for (int i = 0; i < place_count; i++) {
        snprintf(digits, sizeof digits, "%010llu", (unsigned long long)(next_number++ % 10000000000ULL));
        memcpy(call->message + places[i], digits, WIDTH);
    }
    call->id = c->next_id;
    c->next_id += 2;
    call->sent = call->got = 0;
    call->window = c->initial;
    call->began = now();
    frame(c, HEADERS, END_HEADERS, call->id, headers, headers_size);
    transmit(c, call);
}

static void ended(struct connection *c, struct call *call, int well) {
    if (well && call->got > 5) {
        if (time_count == time_room) times = realloc(times, (time_room = time_room ? time_room * 2 : 4096) * sizeof *times);
        times[time_count++] = (uint32_t)(now() - call->began);
        served++;
    } else {
        failed++;
    }
    last_answer = now();
    call->id = 0;
    if (!c->going && last_answer < ends) ask(c, call);
}

static struct call *of(struct connection *c, uint32_t id) {
    for (int i = 0; i < stream_count; i++)
        if (c->calls[i].id == id) return &c->calls[i];
    return NULL;
}

static uint32_t number_at(const unsigned char *at) {
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void settings(struct connection *c, const unsigned char *at, size_t size) {
    for (size_t i = 0; i + 6 <= size; i += 6) {
        if ((at[i] << 8 | at[i + 1]) != INITIAL_WINDOW) continue;
        int64_t initial = number_at(at + i + 2);
        for (int j = 0; j < stream_count; j++) c->calls[j].window += initial - c->initial;
        c->initial = initial;
    }
    frame(c, SETTINGS, ACK, 0, NULL, 0);
}

static void heard(struct connection *c, int type, int flags, uint32_t id, const unsigned char *at, size_t size) {
    struct call *call = id ? of(c, id) : NULL;
    if (type == SETTINGS && !(flags & ACK)) settings(c, at, size);
    if (type == PING && !(flags & ACK)) frame(c, PING, ACK, 0, at, size);
    if (type == GOAWAY) c->going = 1; /* what is under way is still answered */
    if (type == DATA && call) call->got += size;
    if (type == WINDOW_UPDATE && call) call->window += number_at(at) & WHOLE_WINDOW;
    if (type == WINDOW_UPDATE && !id) c->window += number_at(at) & WHOLE_WINDOW;
    if (call && type == RST_STREAM) ended(c, call, 0);
    if (call && (type == HEADERS || type == DATA) && flags & END_STREAM) ended(c, call, 1);
    if (type == WINDOW_UPDATE || type == SETTINGS)
        for (int i = 0; i < stream_count; i++)
            if (c->calls[i].id) transmit(c, &c->calls[i]);
}

static int receive(struct connection *c) {
    if (c->in_room - c->in_used < 65536) c->in = realloc(c->in, c->in_room += 131072);
    ssize_t got = recv(c->fd, c->in + c->in_used, c->in_room - c->in_used, 0);
    if (got == 0 || (got < 0 && errno != EAGAIN)) return 0;
    if (got < 0) return 1;
    c->in_used += (size_t)got;
    size_t at = 0;
    while (c->in_used - at >= 9) {
        const unsigned char *head = (unsigned char *)c->in + at;
        size_t size = (size_t)head[0] << 16 | (size_t)head[1] << 8 | head[2];
        if (c->in_used - at < 9 + size) break;
        heard(c, head[3], head[4], number_at(head + 5) & WHOLE_WINDOW, head + 9, size);
        at += 9 + size;
    }
    c->in_used -= at;
    memmove(c->in, c->in + at, c->in_used);
    return 1;
}

static void flush(struct connection *c) {
    while (c->out_sent < c->out_used) {
        ssize_t took = send(c->fd, c->out + c->out_sent, c->out_used - c->out_sent, MSG_NOSIGNAL);
        if (took < 0) return;
        c->out_sent += (size_t)took;
    }
    c->out_used = c->out_sent = 0;
}

static int under_way(const struct connection *c) {
    int count = 0;
    for (int i = 0; i < stream_count; i++) count += c->calls[i].id != 0;
    return count;
}

static void start(struct connection *c) {
    dial(c);
    for (int i = 0; i < stream_count; i++) ask(c, &c->calls[i]);
}

/* A connection that has come to its age or was broken off is followed by another. */
static void replace(struct connection *c) {
    for (int i = 0; i < stream_count; i++) {
        failed += c->calls[i].id != 0;
        c->calls[i].id = 0;
    }
    close(c->fd);
    c->fd = -1;
    if (now() < ends) start(c);
}

static void run(struct connection *all, double seconds) {
    struct pollfd *ready = calloc((size_t)connection_count, sizeof *ready);
    ends = now() + (int64_t)(seconds * 1e6);
    for (int i = 0; i < connection_count; i++) start(&all[i]);
    for (;;) {
        int open = 0;
        for (int i = 0; i < connection_count; i++) {
            struct connection *c = &all[i];
            if (c->fd >= 0 && c->going && !under_way(c)) replace(c);
            if (c->fd >= 0) {
                flush(c);
                open += under_way(c);
            }
            ready[i] = (struct pollfd){c->fd, (short)(c->out_used ? POLLIN | POLLOUT : POLLIN), 0};
        }
        if (!open || now() > ends + 10000000) break;
        poll(ready, (nfds_t)connection_count, 100);
        for (int i = 0; i < connection_count; i++)
            if (ready[i].revents & ~POLLOUT && !receive(&all[i])) replace(&all[i]);
    }
}

static void read_message(const char *name) {
    FILE *file = fopen(name, "rb");
    if (!file) exit(2);
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    rewind(file);
    message_size = (size_t)size + 5;
    message = calloc(1, message_size);
    if (fread(message + 5, 1, (size_t)size, file) != (size_t)size) exit(2);
    fclose(file);
    uint32_t wire = htonl((uint32_t)size);
    memcpy(message + 1, &wire, 4);
    for (char *at = message; (at = memmem(at, message_size - (size_t)(at - message), "@@@@@@@@@@", WIDTH)); at += WIDTH)
        if (place_count < 512) places[place_count++] = (size_t)(at - message);
}

static int by_size(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

int main(int count, char **words) {
    const char *method = "";
    double seconds = 1;
    for (int i = 1; i + 1 < count; i += 2) {
        const char *name = words[i], *value = words[i + 1];
        if (!strcmp(name, "--port")) port = atoi(value);
        else if (!strcmp(name, "--method")) method = value;
        else if (!strcmp(name, "--message")) read_message(value);
        else if (!strcmp(name, "--connections")) connection_count = atoi(value);
        else if (!strcmp(name, "--streams")) stream_count = atoi(value);
        else if (!strcmp(name, "--seconds")) seconds = atof(value);
        else if (!strcmp(name, "--first")) next_number = strtoull(value, NULL, 10);
    }
    if (!port || !message || stream_count < 1 || stream_count > MOST) {
        fprintf(stderr, "usage: rpc --port P --method M --message FILE --connections N --streams M --seconds S\n");
        return 2;
    }
    header(":method", "POST");
    header(":scheme", "http");
    header(":path", method);
    header(":authority", "127.0.0.1");
    header("content-type", "application/grpc");
    header("te", "trailers");
    struct connection *all = calloc((size_t)connection_count, sizeof *all);
    for (int i = 0; i < connection_count; i++)
        for (int j = 0; j < stream_count; j++) {
            all[i].calls[j].message = malloc(message_size);
            memcpy(all[i].calls[j].message, message, message_size);
        }
    int64_t began = now();
    run(all, seconds);
    double took = (double)(last_answer - began) / 1e6;
    if (time_count) qsort(times, time_count, sizeof *times, by_size);
    printf("{\"served\":%ld,\"failed\":%ld,\"seconds\":%.4f,\"p50_ms\":%.3f,\"p99_ms\":%.3f}\n", served, failed, took,
           time_count ? times[(time_count + 1) / 2 - 1] / 1e3 : 0.0,
           time_count ? times[(time_count * 99 + 99) / 100 - 1] / 1e3 : 0.0);
    return 0;
}
