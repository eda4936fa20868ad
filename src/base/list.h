/*
 * An intrusive doubly linked ring: the links stand inside the things, so that moving between lists
 * never allocates. The head is a link of its own. One thread.
 */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *next, *prev;
};

#define container_of(link, type, member) ((type *)(void *)((char *)(link)-offsetof(type, member)))

static inline void list_init(struct list *list)
{
    list->next = list->prev = list;
}

static inline bool list_is_empty(const struct list *list)
{
    return list->next == list;
}

/* A link that was set up and stands in some list. */
static inline bool list_is_linked(const struct list *link)
{
    return link->next && link->next != link;
}

static inline void list_insert_between(struct list *link, struct list *prev, struct list *next)
{
    link->prev = prev;
    link->next = next;
    prev->next = link;
    next->prev = link;
}

static inline void list_push_back(struct list *head, struct list *link)
{
    list_insert_between(link, head->prev, head);
}

static inline void list_push_front(struct list *head, struct list *link)
{
    list_insert_between(link, head, head->next);
}

/* Takes the link out; harmless where it stands in no list. */
static inline void list_remove(struct list *link)
{
    if (!link->next)
        return;
    link->next->prev = link->prev;
    link->prev->next = link->next;
    list_init(link);
}

/* The first link taken out, or NULL. */
static inline struct list *list_pop_front(struct list *head)
{
    struct list *link = head->next;

    if (link == head)
        return NULL;
    list_remove(link);
    return link;
}

#define list_for_each(link, head)                                                                  \
    for (struct list *link = (head)->next; link != (head); link = link->next)

/* The link itself may be removed or freed in the body; its neighbour may not. */
#define list_for_each_safe(link, head)                                                             \
    for (struct list *link = (head)->next, *link##_next = link->next; link != (head);              \
         link = link##_next, link##_next = link->next)

#endif
