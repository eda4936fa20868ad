/* Gemini's wire format: the contents of a request, and the order in which calls of functions and
 * their responses must stand. */
#include <stdio.h>

#include "base/err.h"
#include "json/tree.h"
#include "sim/gemini.h"
#include "sim/request.h"

/* The contents being read. */
struct talk {
    struct sim_request *in;
    size_t index;
    size_t pending;     /* calls in the content before */
    bool is_model;      /* it was the model's */
    bool is_user_last;  /* the content at hand says something of the user's own */
    yyjson_val *chosen; /* the last such content */
    size_t chosen_index;
};

void sim_gemini_sign(struct span model, struct span function,
                     char signature[SIM_GEMINI_SIGNATURE_BYTES])
{
    snprintf(signature, SIM_GEMINI_SIGNATURE_BYTES, "c2lt%016llx",
             (unsigned long long)sim_hash_more(sim_hash(model), function));
}

bool sim_gemini_signs(struct span model)
{
    return span_has_prefix(model, SPAN("gemini-3"));
}

/* --- parts --- */

static const char *const data_names[] = {
    "text",
    "inline_data",
    "file_data",
    "function_call",
    "function_response",
    "executable_code",
    "code_execution_result",
    "tool_call",
    "tool_response",
};

static bool has_data(yyjson_val *part)
{
    unsigned count = 0;

    for (size_t i = 0; i < sizeof(data_names) / sizeof(data_names[0]); i++)
        count += sim_gemini_member(part, data_names[i]) != NULL;
    return count == 1;
}

/* The text of a content that is no thought; its bytes. `text` may be NULL. */
static uint64_t gather_parts(yyjson_val *content, struct sim_gathering *text)
{
    yyjson_arr_iter iter;
    yyjson_val *part;
    uint64_t bytes = 0;

    yyjson_arr_iter_init(sim_gemini_member(content, "parts"), &iter);
    while ((part = yyjson_arr_iter_next(&iter))) {
        struct span said = sim_gemini_text(part, "text");

        if (!said.ptr || yyjson_get_bool(sim_gemini_member(part, "thought")))
            continue;
        sim_gather(text, said);
        bytes += said.len;
    }
    return bytes;
}

/* How many parts there are of each sort, and what responses cost. */
struct tally {
    size_t parts, calls, responses;
    uint64_t response_tokens;
};

static int refuse_part(struct talk *talk, size_t at, const char *message)
{
    return sim_refuse(
        talk->in, sim_field_name(talk->in, "contents[%zu].parts[%zu]", talk->index, at), message);
}

static bool is_picture(yyjson_val *part)
{
    yyjson_val *data = sim_gemini_member(part, "inline_data");

    return span_has_prefix(
        sim_gemini_text(data ? data : sim_gemini_member(part, "file_data"), "mime_type"),
        SPAN("image/"));
}

static int tally_part(struct talk *talk, yyjson_val *part, struct tally *tally)
{
    yyjson_val *call = sim_gemini_member(part, "function_call");
    yyjson_val *response = sim_gemini_member(part, "function_response");
    yyjson_val *said = sim_gemini_member(response, "response");
    struct span output = sim_gemini_text(said, "output");

    if (!has_data(part))
        return refuse_part(talk, tally->parts,
                           "required oneof field 'data' must have one initialized field");
    if (call && !sim_gemini_text(call, "name").len)
        return refuse_part(talk, tally->parts, "function_call.name: Name cannot be empty.");
    if (response && (!sim_gemini_text(response, "name").len || !said))
        return refuse_part(talk, tally->parts,
                           "function_response: name and response must not be empty.");
    if (is_picture(part))
        talk->in->ask->prompt_tokens +=
            sim_picture_tokens(sim_gemini_text(sim_gemini_member(part, "inline_data"), "data").len);
    tally->parts++;
    tally->calls += call != NULL;
    tally->responses += response != NULL;
    if (response)
        tally->response_tokens +=
            4 + sim_tokens_of(output.ptr ? output.len : sim_gemini_text(said, "error").len);
    return 0;
}

static int tally_parts(struct talk *talk, yyjson_val *content, struct tally *ret_tally)
{
    yyjson_val *parts = sim_gemini_member(content, "parts"), *part;
    yyjson_arr_iter iter;
    int err = 0;

    *ret_tally = (struct tally){0};
    if (yyjson_arr_size(parts) == 0)
        return sim_refuse(talk->in, sim_field_name(talk->in, "contents[%zu].parts", talk->index),
                          "contents.parts must not be empty.");
    yyjson_arr_iter_init(parts, &iter);
    while (!err && (part = yyjson_arr_iter_next(&iter)))
        err = tally_part(talk, part, ret_tally);
    return err;
}

/* --- contents --- */

static int refuse_order(struct talk *talk, const char *message)
{
    return sim_refuse(talk->in, sim_field_name(talk->in, "contents[%zu]", talk->index), message);
}

/* Calls are answered in the very next content, each by one response. */
static int check_order(struct talk *talk, const struct tally *tally, bool is_model)
{
    if (talk->pending && tally->responses != talk->pending)
        return refuse_order(talk, "Please ensure that the number of function response parts is "
                                  "equal to the number of function call parts of the function call "
                                  "turn.");
    if (!talk->pending && tally->responses)
        return refuse_order(talk, "Please ensure that function response turn comes immediately "
                                  "after a function call turn.");
    if (tally->calls && (!is_model || talk->index == 0 || talk->is_model))
        return refuse_order(talk, "Please ensure that function call turn comes immediately after a "
                                  "user turn or after a function response turn.");
    talk->pending = tally->calls;
    return 0;
}

static int read_content(struct talk *talk, yyjson_val *content)
{
    struct span role = sim_gemini_text(content, "role");
    bool is_model = span_is_equal(role, SPAN("model"));
    struct tally tally;
    int err;

    if (role.len && !is_model && !span_is_equal(role, SPAN("user")) &&
        !span_is_equal(role, SPAN("function")))
        return refuse_order(talk, "Please use a valid role: user, model.");
    err = tally_parts(talk, content, &tally);
    if (!err)
        err = check_order(talk, &tally, is_model);
    if (err)
        return err;
    talk->is_model = is_model;
    talk->is_user_last = !is_model && tally.parts > tally.responses;
    if (talk->is_user_last) {
        talk->chosen = content;
        talk->chosen_index = talk->index;
    }
    talk->in->ask->prompt_tokens += tally.response_tokens;
    if (is_model || talk->is_user_last)
        talk->in->ask->prompt_tokens += 4 + sim_tokens_of(gather_parts(content, NULL));
    return 0;
}

/* --- signatures --- */

static bool is_signed(struct sim_request *in, yyjson_val *part)
{
    struct span shown = sim_gemini_text(part, "thought_signature");
    char own[SIM_GEMINI_SIGNATURE_BYTES];

    sim_gemini_sign(in->ask->model,
                    sim_gemini_text(sim_gemini_member(part, "function_call"), "name"), own);
    return span_is_equal(shown, span_from_text(own)) ||
           span_is_equal(shown, SPAN("skip_thought_signature_validator")) ||
           span_is_equal(shown, SPAN("c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I="));
}

/* Of several calls the first one has it. */
static int check_first_call(struct sim_request *in, yyjson_val *content, size_t index)
{
    yyjson_arr_iter iter;
    yyjson_val *part;

    yyjson_arr_iter_init(sim_gemini_member(content, "parts"), &iter);
    while ((part = yyjson_arr_iter_next(&iter))) {
        if (!sim_gemini_member(part, "function_call"))
            continue;
        if (is_signed(in, part))
            return 0;
        return sim_refuse(in, sim_field_name(in, "contents[%zu]", index),
                          sim_gemini_member(part, "thought_signature")
                              ? "Thought signature is not valid."
                              : "Function call is missing a thought_signature in functionCall "
                                "parts.");
    }
    return 0;
}

/* Only the turn at hand, behind the user's last words, is looked at. */
static int check_signatures(struct talk *talk, yyjson_val *contents)
{
    yyjson_arr_iter iter;
    yyjson_val *content;
    size_t index = 0;
    int err = 0;

    if (!sim_gemini_signs(talk->in->ask->model))
        return 0;
    yyjson_arr_iter_init(contents, &iter);
    for (; !err && (content = yyjson_arr_iter_next(&iter)); index++)
        if (!talk->chosen || index > talk->chosen_index)
            err = check_first_call(talk->in, content, index);
    return err;
}

/* --- the whole --- */

static int read_text(struct sim_request *in, yyjson_val *content)
{
    struct sim_gathering text;

    sim_gather_begin(&text);
    gather_parts(content, &text);
    return sim_gather_end(&text, in);
}

int sim_gemini_read_contents(struct sim_request *in, bool *ret_is_user_last)
{
    yyjson_val *contents = sim_gemini_member(in->root, "contents"), *content, *last = NULL;
    yyjson_val *system = sim_gemini_member(in->root, "system_instruction");
    struct talk talk = {.in = in};
    yyjson_arr_iter iter;
    int err = 0;

    if (yyjson_arr_size(contents) == 0)
        return sim_refuse(in, SPAN("contents"), "contents is not specified");
    in->ask->prompt_tokens = 3;
    if (system)
        in->ask->prompt_tokens += 4 + sim_tokens_of(gather_parts(system, NULL));
    yyjson_arr_iter_init(contents, &iter);
    for (; !err && (content = yyjson_arr_iter_next(&iter)); talk.index++) {
        err = read_content(&talk, content);
        last = content;
    }
    if (!err && talk.pending)
        err = check_order(&talk, &(struct tally){0}, false);
    if (!err)
        err = check_signatures(&talk, contents);
    if (err)
        return err;
    *ret_is_user_last = talk.is_user_last;
    if (sim_request_texts(in, 1))
        return ERR_NOMEM;
    return read_text(in, talk.chosen ? talk.chosen : last);
}

int sim_gemini_read_input(struct sim_request *in, yyjson_val *content, struct span field)
{
    if (yyjson_arr_size(sim_gemini_member(content, "parts")) == 0)
        return sim_refuse(in, field, "content is not specified");
    in->ask->prompt_tokens += sim_tokens_of(gather_parts(content, NULL));
    return read_text(in, content);
}
