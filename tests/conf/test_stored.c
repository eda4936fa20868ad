/* References to secret stores: what a load wants of them, what it makes of what they told, and what
 * stands while they do not tell. */
#include "../secrets/store_play.h"
#include "fake.h"

#include <stdio.h>

#include "base/alloc.h"
#include "conf/stored.h"
#include "secrets/seal_key.h"
#include "secrets/sealed.h"
#include "secrets/sealed_disk.h"
#include "secrets/sealed_entries.h"

#define VAULT                                                                                      \
    "secrets: {vault: {address: \"http://127.0.0.1:8200\", token: TOPSECRET-token, "               \
    "created_by: us}}\n"

static const char one_key[] = VAULT "providers:\n"
                                    "  compatible:\n"
                                    "    base_url: http://h/v1\n"
                                    "    keys:\n"
                                    "      - ${vault:secret/data/llm/a#k}\n"
                                    "      - ${vault:secret/data/llm/a}-${vault:kv/b#k}\n";

static const char folder[] = VAULT "providers:\n"
                                   "  compatible:\n"
                                   "    base_url: http://h/v1\n"
                                   "    keys: [own]\n"
                                   "    keys_from: [\"vault:secret/data/llm/pool/*\"]\n"
                                   "    rotation:\n"
                                   "      keep_in: vault:secret/data/llm/pool\n"
                                   "      issuer: {kind: store, from: vault:secret/data/next}\n";

struct stage {
    struct fake fake;
    struct conf_stored stored;
};

static int begin(void **state)
{
    static struct stage stage;

    fake_init(&stage.fake);
    conf_stored_init(&stage.stored);
    stage.fake.source.stored = &stage.stored;
    *state = &stage;
    return 0;
}

static int end(void **state)
{
    struct stage *stage = *state;

    conf_stored_fini(&stage->stored);
    fake_fini(&stage->fake);
    return 0;
}

static struct conf_stored_entry *find(struct stage *stage, const char *text, bool is_folder)
{
    return map_find(is_folder ? &stage->stored.by_folder : &stage->stored.by_text,
                    span_from_text(text));
}

/* The store tells a member, or (NULL) that there is none. */
static void tell(struct stage *stage, const char *text, const char *name, const char *value)
{
    struct conf_stored_entry *entry = find(stage, text, false);

    assert_non_null(entry);
    entry->is_wanted = false;
    list_for_each (link, &entry->members) {
        struct conf_stored_member *member = container_of(link, struct conf_stored_member, link);

        if (strcmp(member->name, name) != 0)
            continue;
        secret_unref(&member->value);
        member->is_known = true;
        if (value)
            assert_int_equal(secret_new(stage->fake.secrets, span_from_text(value), &member->value),
                             0);
        return;
    }
    fail();
}

static void tell_names(struct stage *stage, const char *text, const char *names)
{
    struct conf_stored_entry *entry = find(stage, text, true);

    assert_non_null(entry);
    entry->is_wanted = false;
    entry->is_known = true;
    buf_clear(&entry->names);
    assert_int_equal(buf_append(&entry->names, names, strlen(names)), 0);
}

static void tell_trouble(struct stage *stage, const char *text, const char *why)
{
    struct conf_stored_entry *entry = find(stage, text, false);

    entry->is_wanted = false;
    snprintf(entry->why, sizeof(entry->why), "%s", why);
}

static const struct conf_key *key(const struct stage *stage, size_t at)
{
    return &stage->fake.config->providers.items[0].keys.items[at];
}

static void a_load_wants_and_then_has(void **state)
{
    struct stage *stage = *state;

    assert_int_equal(fake_load(&stage->fake, one_key), ERR_AGAIN);
    assert_true(stage->stored.is_wanting);
    /* What tells how to reach the store. */
    assert_span(stage->fake.config->secrets.vault->address, "http://127.0.0.1:8200");
    assert_true(find(stage, "vault:secret/data/llm/a", false)->is_wanted);
    assert_span(find(stage, "vault:secret/data/llm/a", false)->place.root, "secret");
    assert_span(find(stage, "vault:secret/data/llm/a", false)->place.path, "llm/a");
    assert_int_equal(find(stage, "vault:secret/data/llm/a", false)->place.kv, 2);
    assert_int_equal(find(stage, "vault:kv/b", false)->place.kv, 0);
    tell(stage, "vault:secret/data/llm/a", "k", "TOPSECRET-1");
    tell(stage, "vault:secret/data/llm/a", "api_key", "TOPSECRET");
    tell(stage, "vault:kv/b", "k", "2");
    assert_int_equal(fake_load(&stage->fake, one_key), 0);
    assert_false(stage->stored.is_wanting);
    assert_true(secret_is_equal(key(stage, 0)->secret, SPAN("TOPSECRET-1")));
    assert_true(secret_is_equal(key(stage, 1)->secret, SPAN("TOPSECRET-2")));
}

static void nothing_of_it_is_shown(void **state)
{
    struct stage *stage = *state;
    struct buf *text = &stage->fake.text;

    assert_int_equal(fake_load(&stage->fake, one_key), ERR_AGAIN);
    tell(stage, "vault:secret/data/llm/a", "k", "TOPSECRET-1");
    tell(stage, "vault:secret/data/llm/a", "api_key", "TOPSECRET");
    tell(stage, "vault:kv/b", "k", "TOPSECRET\n");
    assert_int_equal(fake_load(&stage->fake, one_key), ERR_SYNTAX);
    assert_null(strstr(fake_complaints(&stage->fake), "TOPSECRET"));
    tell(stage, "vault:kv/b", "k", "TOPSECRET-2");
    assert_int_equal(fake_load(&stage->fake, one_key), 0);
    buf_clear(text);
    assert_int_equal(config_print(stage->fake.config, text), 0);
    assert_null(strstr(buf_text(text), "TOPSECRET"));
    assert_non_null(strstr(buf_text(text), "token: \"***\""));
}

static void what_cannot_be_told_is_an_error_of_its_line(void **state)
{
    struct stage *stage = *state;

    assert_int_equal(fake_load(&stage->fake, one_key), ERR_AGAIN);
    tell(stage, "vault:secret/data/llm/a", "k", NULL);
    tell(stage, "vault:secret/data/llm/a", "api_key", "x");
    tell_trouble(stage, "vault:kv/b", "vault: permission denied (403)");
    assert_int_equal(fake_load(&stage->fake, one_key), ERR_SYNTAX);
    assert_string_equal(
        fake_complaints(&stage->fake),
        "b.yaml:6:9: providers.compatible.keys[0]: ${vault:secret/data/llm/a#k} is not there: the "
        "store has no such entry, or the entry no such text; allowed: what its store has\n"
        "b.yaml:7:9: providers.compatible.keys[1]: ${vault:kv/b#k} could not be read: vault: "
        "permission denied (403); allowed: what its store has\n");
}

/* A store that does not answer takes nothing away. */
static void what_was_told_last_stands(void **state)
{
    struct stage *stage = *state;

    a_load_wants_and_then_has(state);
    conf_stored_doubt(&stage->stored);
    assert_int_equal(fake_load(&stage->fake, one_key), ERR_AGAIN);
    tell_trouble(stage, "vault:secret/data/llm/a", "sealed");
    tell_trouble(stage, "vault:kv/b", "sealed");
    assert_int_equal(fake_load(&stage->fake, one_key), 0);
    assert_true(secret_is_equal(key(stage, 0)->secret, SPAN("TOPSECRET-1")));
}

/* What nobody refers to any more can be forgotten. */
static void what_is_used_is_known(void **state)
{
    struct stage *stage = *state;

    a_load_wants_and_then_has(state);
    fake_must_load(&stage->fake, VAULT "providers: {compatible: {base_url: \"http://h\", keys: "
                                       "[\"${vault:kv/b#k}\"]}}\n");
    assert_true(find(stage, "vault:kv/b", false)->is_used);
    assert_false(find(stage, "vault:secret/data/llm/a", false)->is_used);
    conf_stored_drop(&stage->stored, find(stage, "vault:secret/data/llm/a", false));
    assert_null(find(stage, "vault:secret/data/llm/a", false));
}

static void a_folder_of_keys(void **state)
{
    struct stage *stage = *state;

    assert_int_equal(fake_load(&stage->fake, folder), ERR_AGAIN);
    tell_names(stage, "vault:secret/data/llm/pool", "below/\ned\nissued\nold\nstate\n");
    assert_int_equal(fake_load(&stage->fake, folder), ERR_AGAIN);
    for (const char *const *name = (const char *const[]){"ed", "issued", "old", "state", NULL};
         *name; name++) {
        char text[128];

        snprintf(text, sizeof(text), "vault:secret/data/llm/pool/%s", *name);
        tell(stage, text, "api_key", strcmp(*name, "state") ? *name : NULL);
    }
    tell(stage, "vault:secret/data/llm/pool/ed", "created_by", NULL);
    tell(stage, "vault:secret/data/llm/pool/issued", "created_by", "us");
    tell(stage, "vault:secret/data/llm/pool/old", "created_by", "somebody else");
    tell(stage, "vault:secret/data/llm/pool/state", "created_by", NULL);
    assert_int_equal(fake_load(&stage->fake, folder), 0);
    /* Rotation knows what it keeps there. */
    assert_int_equal(stage->fake.config->providers.items[0].keys.count, 3);
    assert_span(key(stage, 0)->name, "compatible-1");
    assert_span(key(stage, 1)->name, "ed");
    assert_span(key(stage, 2)->name, "old");
}

/* Somebody else's Secret among ours: named, passed over, and the others are loaded. */
static void what_is_no_entry_of_a_folder_is_passed_over(void **state)
{
    struct stage *stage = *state;

    assert_int_equal(fake_load(&stage->fake, folder), ERR_AGAIN);
    tell_names(stage, "vault:secret/data/llm/pool", "foreign\nmine\n");
    assert_int_equal(fake_load(&stage->fake, folder), ERR_AGAIN);
    tell(stage, "vault:secret/data/llm/pool/mine", "api_key", "sk-mine");
    tell(stage, "vault:secret/data/llm/pool/mine", "created_by", NULL);
    tell_trouble(stage, "vault:secret/data/llm/pool/foreign", "it holds a certificate");
    /* What its store may only not tell now is an error. */
    assert_int_equal(fake_load(&stage->fake, folder), ERR_SYNTAX);
    find(stage, "vault:secret/data/llm/pool/foreign", false)->is_foreign = true;
    assert_int_equal(fake_load(&stage->fake, folder), 0);
    assert_string_equal(fake_complaints(&stage->fake),
                        "b.yaml:6:17: warning: providers.compatible.keys_from[0]: the entry "
                        "'foreign' of this folder is passed over, as it could not be read: it "
                        "holds a certificate; allowed: what its store has\n");
    assert_int_equal(stage->fake.config->providers.items[0].keys.count, 2);
    assert_span(key(stage, 1)->name, "mine");
}

static void an_empty_folder_is_a_warning(void **state)
{
    struct stage *stage = *state;

    assert_int_equal(fake_load(&stage->fake, folder), ERR_AGAIN);
    tell_names(stage, "vault:secret/data/llm/pool", "");
    assert_int_equal(fake_load(&stage->fake, folder), 0);
    assert_string_equal(fake_complaints(&stage->fake),
                        "b.yaml:6:17: warning: providers.compatible.keys_from[0]: the folder holds "
                        "no key so far; one entry is one key\n");
}

/* As `bellwether secrets seal` leaves them. */
static void seal_two(struct stage *stage, const char *home)
{
    struct secret_arena *arena = stage->fake.secrets;
    struct seal_key key = {.bytes = NULL};
    char path[128], why[SECRET_WORDS_BYTES] = "";
    struct sealed_identity seen = {.is_there = false};
    struct sealed_entries entries;
    struct sealed_body *body;
    struct buf plain, file;
    uint64_t version;

    sealed_entries_init(&entries, arena);
    buf_init(&plain, 4096);
    buf_init(&file, 4096);
    assert_int_equal(sealed_body_new(arena, SPAN("{\"value\":\"sk-sealed\"}"), &body), 0);
    assert_int_equal(sealed_entries_try(&entries, SPAN("a"), body, SECRET_ANY, &version), 0);
    assert_int_equal(sealed_entries_try(&entries, SPAN("b"), body, SECRET_ANY, &version), 0);
    assert_int_equal(sealed_entries_write(&entries, &plain), 0);
    sealed_entries_keep(&entries);
    snprintf(path, sizeof(path), "%s/seal.key", home);
    assert_int_equal(seal_key_make(path, arena, &key, why), 0);
    assert_int_equal(sealed_close(&key, SEALED_FILE, buf_span(&plain), &file), 0);
    snprintf(path, sizeof(path), "%s/bellwether.secrets", home);
    assert_int_equal(sealed_disk_read(path, &plain, &seen, why), ERR_NOTFOUND);
    assert_int_equal(sealed_disk_replace(path, buf_span(&file), &seen, why), 0);
    sealed_body_unref(&body);
    sealed_entries_fini(&entries);
    seal_key_fini(&key);
    buf_fini(&plain);
    buf_fini(&file);
}

/* However many refer to it. */
static void the_sealed_file_is_read_once(void **state)
{
    struct stage *stage = *state;
    char home[64], yaml[512];

    play_make_folder(home, sizeof(home));
    seal_two(stage, home);
    snprintf(yaml, sizeof(yaml),
             "secrets: {seal_key: \"file:%s/seal.key\"}\n"
             "providers: {openai: {keys: [\"${sealed:a}\", \"${sealed:b}-2\"]}}\n",
             home);
    fake_must_load(&stage->fake, yaml);
    assert_true(secret_is_equal(key(stage, 0)->secret, SPAN("sk-sealed")));
    assert_true(secret_is_equal(key(stage, 1)->secret, SPAN("sk-sealed-2")));
    assert_int_equal(stage->fake.config->files.count, 1);
    play_remove_folder(home);
}

static void places(void **state)
{
    static const struct {
        const char *text, *root, *path;
        int err;
        enum conf_store_kind kind;
        unsigned kv;
    } rows[] = {
        {"vault:secret/data/llm/a", "secret", "llm/a", 0, CONF_STORE_VAULT, 2},
        {"vault:kv/llm/a", "kv", "llm/a", 0, CONF_STORE_VAULT, 0},
        {"vault:kv", "", "", ERR_SYNTAX, CONF_STORE_VAULT, 0},
        {"vault:secret/data", "", "", ERR_SYNTAX, CONF_STORE_VAULT, 0},
        {"vault:a/../b", "", "", ERR_SYNTAX, CONF_STORE_VAULT, 0},
        {"dir:/run/keys/openai", "/run/keys", "openai", 0, CONF_STORE_FOLDER, 0},
        {"dir:/keys/", "/", "keys", 0, CONF_STORE_FOLDER, 0},
        {"dir:keys", "", "", ERR_SYNTAX, CONF_STORE_FOLDER, 0},
        {"dir:/", "", "", ERR_SYNTAX, CONF_STORE_FOLDER, 0},
        {"dir:/run/.keys", "", "", ERR_SYNTAX, CONF_STORE_FOLDER, 0},
        {"sealed", "", "", 0, CONF_STORE_SEALED, 0},
        {"aws:prod/llm", "", "prod/llm", 0, CONF_STORE_AWS, 0},
        {"google:a", "", "a", 0, CONF_STORE_GOOGLE, 0},
        {"azure:a", "", "a", 0, CONF_STORE_AZURE, 0},
        {"k8s:a.b", "", "a.b", 0, CONF_STORE_KUBERNETES, 0},
        {"aws:", "", "", ERR_SYNTAX, CONF_STORE_AWS, 0},
        {"aws:a b", "", "", ERR_SYNTAX, CONF_STORE_AWS, 0},
        {"", "", "", ERR_SYNTAX, CONF_STORE_KINDS, 0},
    };
    struct conf_place place;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(conf_place_read(span_from_text(rows[i].text), &place), rows[i].err);
        if (rows[i].err)
            continue;
        assert_int_equal(place.kind, rows[i].kind);
        assert_int_equal(place.kv, rows[i].kv);
        assert_span(place.root, rows[i].root);
        assert_span(place.path, rows[i].path);
        assert_span(place.text, rows[i].text);
    }
}

static void vault_and_its_ways_in(void **state)
{
    struct stage *stage = *state;
    const struct conf_vault *vault =
        fake_must_load(
            &stage->fake,
            "providers: {openai: {keys: [sk-a]}}\n"
            "secrets: {vault: {address: \"https://v:8200/\", auth: kubernetes, role: gw, "
            "namespace: team/eu/, auth_mount: k8s/eu}}\n")
            ->secrets.vault;

    assert_span(vault->address, "https://v:8200");
    assert_span(vault->name_space, "team/eu");
    assert_span(vault->jwt_file, "/var/run/secrets/kubernetes.io/serviceaccount/token");
    assert_span(vault->created_by, "bellwether");
    fake_expect(
        &stage->fake,
        "providers: {openai: {keys: [sk-a]}}\n"
        "secrets: {vault: {address: \"http://v:8200\", auth: approle, token: x, namespace: \"a "
        "b\",\n"
        "  secret_id: y, secret_id_file: z}}\n",
        "b.yaml:2:28: secrets.vault.address: this is no URL for credentials: a credential would be "
        "sent without TLS; allowed: https://host, https://host/path\n"
        "b.yaml:2:81: secrets.vault.namespace: 'a b' is no path; allowed: letters, digits and any "
        "of . _ -, with '/' between them\n"
        "b.yaml:3:33: secrets.vault.secret_id_file: there is no such file; allowed: a file that "
        "can "
        "be read\n");
    fake_expect(&stage->fake,
                "providers: {openai: {keys: [sk-a]}}\n"
                "secrets: {vault: {address: \"https://v:8200\", auth: approle, token: x, "
                "secret_id: y}}\n",
                "b.yaml:2:18: secrets.vault: the role_id is missing; allowed: role_id: its id\n"
                "b.yaml:2:61: secrets.vault: auth approle has no token; allowed: role_id, "
                "secret_id, secret_id_file\n");
}

static void references_that_cannot_be(void **state)
{
    struct stage *stage = *state;

    fake_expect(
        &stage->fake,
        "providers: {openai: {keys: [\"${vault:secret/data/a}\"],\n"
        "  keys_from: [\"vault:secret/data/b/*\"],\n"
        "  rotation: {keep_in: \"vault:secret/data/c\", issuer: {kind: store}}}}\n"
        "secrets: {seal_key: \"file:${vault:secret/data/d}\"}\n",
        "b.yaml:1:29: providers.openai.keys[0]: ${vault:secret/data/a} needs to know how its store "
        "is reached; allowed: secrets.vault says it\n"
        "b.yaml:2:15: providers.openai.keys_from[0]: the folder needs to know how its store is "
        "reached; allowed: secrets.vault says it\n"
        "b.yaml:3:23: providers.openai.rotation.keep_in: nothing says how that store is reached; "
        "allowed: secrets.vault says it\n"
        "b.yaml:3:54: providers.openai.rotation.issuer: the from is missing; allowed: from: "
        "vault:secret/data/llm/next\n"
        "b.yaml:4:21: secrets.seal_key: ${vault:secret/data/d} stands in the section that "
        "says where secrets are; allowed: ${env:NAME}, ${file:/path}\n");
}

static void the_clouds(void **state)
{
    struct stage *stage = *state;
    const struct conf_secrets *secrets;

    fake_must_load(
        &stage->fake,
        "providers: {openai: {keys: [sk-a]}}\n"
        "secrets:\n"
        "  aws: {region: eu-west-1, access_key_id: AKIA, secret_access_key: TOPSECRET, kms_key: "
        "\"arn:aws:kms:x\"}\n"
        "  azure: {url: \"https://v.vault.azure.net/\", azure_entra: {tenant: t, client_id: c, "
        "client_secret: TOPSECRET}}\n"
        "  google: {project: p}\n"
        "  kubernetes: {}\n");
    secrets = &stage->fake.config->secrets;
    assert_span(secrets->aws->kms_key, "arn:aws:kms:x");
    assert_span(secrets->azure->url, "https://v.vault.azure.net");
    assert_span(secrets->azure->account->scope, "https://vault.azure.net/.default");
    assert_span(secrets->kubernetes->prefix, "bellwether");
    assert_true(conf_secrets_has(secrets, CONF_STORE_GOOGLE));
    assert_false(conf_secrets_has(secrets, CONF_STORE_VAULT));
    buf_clear(&stage->fake.text);
    assert_int_equal(config_print(stage->fake.config, &stage->fake.text), 0);
    assert_null(strstr(buf_text(&stage->fake.text), "TOPSECRET"));
    fake_expect(
        &stage->fake,
        "providers: {openai: {keys: [sk-a]}}\n"
        "secrets:\n"
        "  aws: {access_key_id: a, role_arn: \"b c\", recovery_days: 3}\n"
        "  azure: {client_id: a, azure_entra: {tenant: t, client_id: c, client_secret: s}}\n"
        "  google: {}\n",
        "b.yaml:3:8: secrets.aws: the region is missing; allowed: region: eu-west-1\n"
        "b.yaml:3:8: secrets.aws: one of access_key_id and secret_access_key is missing; "
        "allowed: both or none\n"
        "b.yaml:3:8: secrets.aws: the token_file is missing; allowed: token_file: the path "
        "of a token\n"
        "b.yaml:3:8: secrets.aws: recovery_days is too small; allowed: 0, or from 7 to 30\n"
        "b.yaml:3:27: secrets.aws: role_arn stands beside access_key_id; allowed: one of "
        "them\n"
        "b.yaml:3:37: secrets.aws.role_arn: 'b c' is no identifier; allowed: one word of "
        "ASCII, fewer than 2048 bytes\n"
        "b.yaml:4:10: secrets.azure: the url is missing; allowed: url: "
        "https://NAME.vault.azure.net\n"
        "b.yaml:4:11: secrets.azure: client_id stands beside azure_entra; allowed: one of "
        "them\n"
        "b.yaml:5:11: secrets.google: the project is missing; allowed: project: its id\n");
}

/* Who only wants to know where the gateway is asks for nothing else. */
static void a_part_is_wanted(void **state)
{
    struct stage *stage = *state;
    int err;

    stage->fake.source.wish = CONF_WISH_ADMIN;
    fake_must_load(&stage->fake, folder);
    fake_must_load(&stage->fake, one_key);
    err = fake_load(&stage->fake, VAULT "providers: {openai: {keys: [sk-a]}}\n"
                                        "admin: {token: \"${vault:secret/data/a}\"}\n");
    assert_int_equal(err, ERR_AGAIN);
    stage->fake.source.wish = CONF_WISH_SECRETS;
    assert_int_equal(fake_load(&stage->fake, VAULT "retyr: 1\nproviders: {openai: {keys: "
                                                   "[\"${env:NOPE}\"]}}\n"),
                     0);
    assert_span(stage->fake.config->secrets.named_file, "bellwether.secrets");
    assert_int_equal(fake_load(&stage->fake, "secrets: {seal: x}\n"), ERR_SYNTAX);
    stage->fake.source.wish = CONF_WISH_ALL;
}

/* Whichever allocation fails, the load says so and leaves nothing behind (built with -Dfaults). */
static void memory_may_run_out_anywhere(void **state)
{
    static const char *const texts[] = {one_key, folder};
    struct stage *stage = *state;

    mem_fail_after(0);
    if (!mem_fail_is_pending())
        skip();
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        bool is_reached = true;

        for (long after = 0; is_reached; after++) {
            int err;

            conf_stored_fini(&stage->stored);
            conf_stored_init(&stage->stored);
            mem_fail_after(after);
            err = fake_load(&stage->fake, texts[i]);
            is_reached = !mem_fail_is_pending();
            mem_fail_after(-1);
            assert_true(err == ERR_AGAIN ||
                        (is_reached && (err == ERR_NOMEM || err == ERR_SYNTAX)));
        }
    }
}

/* A list that there is no room for takes no key away. */
static void a_list_too_long_leaves_the_last(void **state)
{
    struct conf_stored stored;
    struct conf_stored_entry *entry;
    struct conf_place place;
    struct buf names;
    struct span told;
    const char *why;
    bool is_news = false;

    (void)state;
    conf_stored_init(&stored);
    assert_int_equal(conf_place_read(SPAN("vault:secret/data/llm/pool"), &place), 0);
    assert_int_equal(conf_stored_list(&stored, &place, &told, &why), ERR_AGAIN);
    entry = container_of(stored.entries.next, struct conf_stored_entry, link);
    assert_int_equal(conf_stored_take_names(entry, SPAN("a\nb\n"), &is_news), 0);
    assert_true(is_news);
    buf_init(&names, 8 << 20);
    while (names.len < 5 << 20)
        assert_int_equal(buf_append_span(&names, SPAN("a-name-of-a-key-in-a-large-folder\n")), 0);
    is_news = false;
    assert_int_equal(conf_stored_take_names(entry, buf_span(&names), &is_news), ERR_FULL);
    assert_false(is_news);
    assert_true(span_is_equal(buf_span(&entry->names), SPAN("a\nb\n")));
    buf_fini(&names);
    conf_stored_fini(&stored);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_load_wants_and_then_has, begin, end),
        cmocka_unit_test_setup_teardown(nothing_of_it_is_shown, begin, end),
        cmocka_unit_test_setup_teardown(what_cannot_be_told_is_an_error_of_its_line, begin, end),
        cmocka_unit_test_setup_teardown(what_was_told_last_stands, begin, end),
        cmocka_unit_test_setup_teardown(what_is_used_is_known, begin, end),
        cmocka_unit_test_setup_teardown(a_folder_of_keys, begin, end),
        cmocka_unit_test_setup_teardown(what_is_no_entry_of_a_folder_is_passed_over, begin, end),
        cmocka_unit_test_setup_teardown(an_empty_folder_is_a_warning, begin, end),
        cmocka_unit_test(a_list_too_long_leaves_the_last),
        cmocka_unit_test_setup_teardown(the_sealed_file_is_read_once, begin, end),
        cmocka_unit_test_setup_teardown(places, begin, end),
        cmocka_unit_test_setup_teardown(vault_and_its_ways_in, begin, end),
        cmocka_unit_test_setup_teardown(references_that_cannot_be, begin, end),
        cmocka_unit_test_setup_teardown(the_clouds, begin, end),
        cmocka_unit_test_setup_teardown(a_part_is_wanted, begin, end),
        cmocka_unit_test_setup_teardown(memory_may_run_out_anywhere, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
