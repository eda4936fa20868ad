#include "base/err.h"

#include <errno.h>

const char *err_text(int err)
{
    switch ((enum err)err) {
    case ERR_OK:
        return "success";
    case ERR_NOMEM:
        return "out of memory";
    case ERR_FULL:
        return "limit reached";
    case ERR_AGAIN:
        return "not ready";
    case ERR_EOF:
        return "closed by the peer";
    case ERR_RESET:
        return "connection reset";
    case ERR_TIMEOUT:
        return "timed out";
    case ERR_REFUSED:
        return "connection refused";
    case ERR_UNREACHABLE:
        return "network unreachable";
    case ERR_RESOLVE:
        return "name not resolved";
    case ERR_TLS:
        return "TLS failure";
    case ERR_PROTO:
        return "protocol violation";
    case ERR_SYNTAX:
        return "malformed";
    case ERR_RANGE:
        return "out of range";
    case ERR_NOTFOUND:
        return "not found";
    case ERR_EXISTS:
        return "already there";
    case ERR_IO:
        return "input/output failure";
    case ERR_CANCELLED:
        return "cancelled";
    case ERR_UNSUPPORTED:
        return "not supported";
    case ERR_DENIED:
        return "permission denied";
    }
    return "unknown failure";
}

int err_from_errno(int errno_value)
{
    switch (errno_value) {
    case 0:
        return ERR_OK;
    case ENOMEM:
    case ENOBUFS:
        return ERR_NOMEM;
    case EMFILE:
    case ENFILE:
    case EADDRNOTAVAIL:
        return ERR_FULL;
    case EAGAIN:
    case EINTR:
    case EINPROGRESS:
        return ERR_AGAIN;
    case ECONNRESET:
    case EPIPE:
    case ECONNABORTED:
        return ERR_RESET;
    case ETIMEDOUT:
        return ERR_TIMEOUT;
    case ECONNREFUSED:
        return ERR_REFUSED;
    case EHOSTUNREACH:
    case ENETUNREACH:
    case ENETDOWN:
    case EHOSTDOWN:
    case EAFNOSUPPORT:
        return ERR_UNREACHABLE;
    case ENOENT:
        return ERR_NOTFOUND;
    case EEXIST:
    case EADDRINUSE:
        return ERR_EXISTS;
    case EACCES:
    case EPERM:
        return ERR_DENIED;
    default:
        return ERR_IO;
    }
}
