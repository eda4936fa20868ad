/*
 * A gateway on real threads and real sockets: its control thread, its workers, an upstream on
 * threads of its own, and clients that block. For what virtual time cannot show: that the threads
 * get along.
 */
#ifndef TESTS_SERVER_HOUSE_H
#define TESTS_SERVER_HOUSE_H

#include "../conf/fake.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "io/addr.h"
#include "server/gateway.h"

enum { HOUSE_YAML = 4096, HOUSE_CONNS = 512, HOUSE_REQUEST_BYTES = 2 << 20 };

struct house {
    struct fake fake;
    struct loop *loop;
    struct gateway *gateway;
    pthread_t control;
    bool has_control;
    char yaml[HOUSE_YAML];
    struct fake_pair files[2];
    char error[GATEWAY_ERROR_BYTES];
    /* Of the allocations that follow, in gateway_new or a reload, the one that fails; -1: none. */
    long fail_after;

    /* The upstream. */
    int listener;
    uint16_t port;
    pthread_t acceptor;
    pthread_t conns[HOUSE_CONNS];
    int conn_fds[HOUSE_CONNS];
    int conn_count;
    unsigned delay_ms; /* before each answer */
    size_t blanks;     /* in the text of each, up to HOUSE_REQUEST_BYTES */
    atomic_int requests, at_once, most_at_once;
};

/* A socket that listens somewhere on this machine. */
int house_listen(uint16_t *ret_port);

/* "%u" in the text stands for the upstream's port. */
void house_begin(struct house *house, const char *yaml);
void house_end(struct house *house);

/* 0 with the gateway running, or its error with house->error. */
int house_open(struct house *house);

/* On the control thread; returns when it has been done there. A reload has only begun then. */
void house_reload(struct house *house, const char *yaml);
void house_await_reload(struct house *house);
void house_shut_down(struct house *house);

/* Waits until the control thread's loop has ended. */
void house_join(struct house *house);

/* A connection of a client; -1 where it is refused. */
int house_connect(struct house *house);

/* Sends a chat request with a number in it: false where the connection breaks. */
bool house_ask(int client, unsigned number);

/* Reads one answer: its status, 0 where the connection ends before its first byte, -1 where it ends
 * in the middle. The answer must hold the number, if it is a 200. */
int house_hear(int client, unsigned number, bool *ret_is_last);

#endif
