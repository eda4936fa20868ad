/*
 * Heads of the plain shape, which nearly all messages have, read in one go: HTTP/1.1, whole in the
 * first read, CRLF line ends, printable ASCII, a length in digits or (requests) no body, and no
 * field that changes the framing otherwise. It declines everything else, right or wrong: llhttp is
 * the judge of that, and fuzz/fuzz_http.c holds the two to the same story. Pure; any thread.
 */
#ifndef HTTP_PLAIN_HEAD_H
#define HTTP_PLAIN_HEAD_H

#include "http/head.h"

/* The length of the head that bytes begin with, its blank line included, and *head filled; 0 where
 * it declines (*head is undefined then). */
size_t plain_head_read(struct span bytes, bool is_response, struct http_head *head);

#endif
