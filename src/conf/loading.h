/*
 * One load of a configuration under way: what its readers share. Lives on the stack of config_load;
 * one thread.
 */
#ifndef CONF_LOADING_H
#define CONF_LOADING_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/secret.h"
#include "base/span.h"
#include "conf/complaint.h"
#include "conf/config.h"
#include "conf/load.h"
#include "conf/schema.h"
#include "conf/yaml.h"
#include "secrets/sealed_entries.h"

/* What a sealed text (secrets/sealed.h) begins with; and the member of an entry that was sealed. */
#define LOADING_SEALED_TEXT   "QldTRUFMVA"
#define LOADING_SEALED_MEMBER "value"

/* A reference may bring a list of keys, so more than one secret. */
enum { LOADING_SCRATCH_BYTES = 1 << 20, LOADING_PATH_BYTES = 512, LOADING_WHY_BYTES = 700 };

/* A config with what it owns. */
struct config_box {
    struct config config; /* first: config_free gets its address */
    struct arena_pool pool;
    struct arena arena;
    struct secret **secrets; /* one reference each */
    size_t secret_count, secret_cap;
    struct zone **zones; /* that hours of the tree point to */
    size_t zone_count, zone_cap;
};

/* What `bellwether secrets seal` sealed by names: opened when the first of them is asked for. */
struct loading_sealed {
    struct sealed_entries entries;
    bool is_opened;
    int err; /* why it could not be, in words too */
    char why[LOADING_WHY_BYTES];
};

struct loading {
    const struct conf_source *source;
    struct complaints *complaints;
    struct config_box *box;
    struct config *config; /* of the box */
    const struct yaml_node *root;
    struct span folder; /* of the file, with its slash; empty: the working directory */
    struct map pools;   /* struct conf_pool by name */
    struct buf scratch; /* resolved text; all its room is taken at the start, and it is wiped */
    struct buf file;    /* the same for what a reference reads */
    struct loading_sealed sealed;
    char path[LOADING_PATH_BYTES]; /* of the setting being read: "providers.openai.keys[2]" */
    size_t path_len;
    /* The provider being read: its members need its name. */
    struct conf_provider *provider;
    size_t short_keys;  /* of it, so far */
    bool is_lacking;    /* the text being resolved: a value of a store is wanted */
    bool is_in_secrets; /* the section is being read that says where secrets are */
    bool is_sound;      /* in a finish hook: the group's own rows went well */
    int err;            /* ERR_NOMEM once memory or the secret arena failed; nothing else */
};

/* Names what is read from here on, for complaints; returns what loading_leave takes back. */
size_t loading_enter(struct loading *loading, struct span name);
size_t loading_enter_index(struct loading *loading, size_t index);
void loading_leave(struct loading *loading, size_t length);

/* Adds "PATH: text". */
void loading_error(struct loading *loading, struct conf_mark mark, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void loading_warning(struct loading *loading, struct conf_mark mark, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The configuration owns that zone from here on, whose clocks hours of it go by; NULL is UTC. Where
 * it can't, the zone is freed and the loading has failed: false. */
bool loading_own_zone(struct loading *loading, struct zone *zone);

/* Complains of a value: "PATH: 'value' WHAT; allowed: ..." with what the row's type tells. The
 * value is quoted as the file has it, and only where it cannot be a secret. */
void loading_refuse(struct loading *loading, const struct conf_row *row,
                    const struct yaml_node *node, const char *what);

/*
 * The text of a single value with its references resolved: true, or false after a complaint. It is
 * borrowed from the file or from the scratch until loading_end_text, which wipes that.
 */
bool loading_text(struct loading *loading, const struct conf_row *row, const struct yaml_node *node,
                  struct span *ret_text);
void loading_end_text(struct loading *loading);

/* True where the text, as the file has it, holds a reference; $${ is none. */
bool loading_has_reference(struct span text);

/* Nobody will use what stands there: see enum conf_wish. */
bool loading_is_unseen(const struct loading *loading);

/* The value behind "vault:PATH#MEMBER" (without a member: api_key), borrowed from the source: 0, or
 * an error with `why` (LOADING_WHY_BYTES), which goes on from the reference. */
int loading_find_stored(struct loading *loading, struct span text, const struct secret **ret_value,
                        char *why);

/* The same for one member of an entry, which need not be there: then NULL. */
int loading_find_member(struct loading *loading, const struct conf_place *place, struct span member,
                        const struct secret **ret_value, char *why);

/* The names of the entries below "vault:PATH", a '\n' behind each; the rest as above. */
int loading_list_stored(struct loading *loading, const struct conf_place *place,
                        struct span *ret_names, char *why);

/* What `bellwether secrets seal` sealed, appended to `out`: "sealed:NAME" names it, "sealed:" and a
 * text that begins with LOADING_SEALED_TEXT holds it. The rest as above. */
int loading_read_sealed(struct loading *loading, struct span text, struct buf *out, char *why);

/* The configuration depends on that file, or on the names in that folder: see struct conf_file. */
void loading_note_file(struct loading *loading, struct span path, struct span content);
void loading_note_folder(struct loading *loading, struct span path, const char *const *names,
                         size_t count);

/* Memory of the tree, cleared; NULL where there is none, which ends the load. */
void *loading_alloc(struct loading *loading, size_t count, size_t size);

/* A copy in the tree; empty where memory failed. */
struct span loading_keep(struct loading *loading, struct span text);

/* True where the text may stand in a header line as a secret; else false, after a complaint. */
bool loading_check_secret(struct loading *loading, struct conf_mark mark, struct span text);

/* A secret of the tree: checked as above. NULL where it does not go. */
struct secret *loading_keep_secret(struct loading *loading, struct conf_mark mark,
                                   struct span text);

/* The same for a text of several lines that never stands in a header; unchecked. */
struct secret *loading_keep_document(struct loading *loading, struct conf_mark mark,
                                     struct span text);

/* A path made relative to the folder of the file. */
struct span loading_keep_path(struct loading *loading, struct span text);

/* Fills the struct of a group: defaults, then what the node says, then what follows. */
void conf_group_read(struct loading *loading, const struct conf_group *group,
                     const struct yaml_node *node, struct span name, struct conf_mark mark,
                     void *object);

/* The rules across settings, after all was read. */
void conf_check(struct loading *loading);

/* YAML that stands for the environment where there is no file; complains of what it finds there and
 * cannot use. ERR_NOTFOUND where no variable names a key, ERR_NOMEM. */
int conf_environment_write(const struct conf_system *system, struct complaints *complaints,
                           struct buf *out);

/* "PROVIDER-1", "PROVIDER-2", ...: keys without a name of their own, in their order. Empty: without
 * memory, which loading->err says. */
struct span loading_name_key(struct loading *loading);

#endif
